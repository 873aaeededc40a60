"""Tokens for read-your-writes: the positions of submissions, opaque to callers."""

import base64
import binascii
import json

from headwater.errors import PoisonError
from headwater.ports.heads import Positions

MAX_TOKEN_CHARS = 4_096
_MOST = 2**63  # Kafka's offsets are 64-bit numbers


class TokenError(PoisonError):
    """A token is not one of ours."""


def encode_token(positions: Positions) -> str:
    """Encode `{topic: {partition: offset}}`, the offsets being those of the submissions."""
    body = {topic: {str(part): offset for part, offset in sorted(parts.items())} for topic, parts in positions.items()}
    raw = json.dumps(body, separators=(",", ":"), sort_keys=True).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode_token(token: str) -> Positions:
    """Decode what `encode_token` made; raise TokenError for anything else."""
    if len(token) > MAX_TOKEN_CHARS:
        raise TokenError(f"after: longer than {MAX_TOKEN_CHARS} characters; pass a token as a write returned it")
    try:
        body = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return {topic: {_count(int(p)): _count(n) for p, n in parts.items()} for topic, parts in body.items()}
    except (binascii.Error, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise TokenError("after: not a token; pass it as a write returned it") from error


def _count(number: object) -> int:
    """Return a partition or an offset; raise ValueError for what is none."""
    if type(number) is not int or not 0 <= number < _MOST:
        raise ValueError("neither partition nor offset")
    return number


def merge_tokens(first: Positions, second: Positions) -> Positions:
    """Return positions that imply both."""
    merged = {topic: dict(parts) for topic, parts in first.items()}
    for topic, parts in second.items():
        target = merged.setdefault(topic, {})
        for partition, offset in parts.items():
            target[partition] = max(offset, target.get(partition, 0))
    return merged
