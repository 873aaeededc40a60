"""Who sent a delivery: an HMAC-SHA-256 over the raw body, in the three forms that senders write. Pure.

Sources: GitHub Docs, "Validating webhook deliveries"; W3C WebSub, section 7.1, as Atlassian's products send it; the
form with a time is that of Stripe's webhooks: what is signed is the time, a dot, and the body.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

Headers: TypeAlias = Mapping[str, str]  # names in lower case

_HUB: Final = re.compile(r"sha256=([0-9a-fA-F]{64})")
_TIME: Final = re.compile(r"[0-9]{1,12}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")
_MOST_DIGESTS: Final = 4  # of one header: a sender that rotates its secret signs with both


class Scheme(StrEnum):
    """How a delivery is signed. A kind of source has exactly one, so that none can be passed off as another."""

    GITHUB = "x-hub-signature-256"
    ATLASSIAN = "x-hub-signature"
    HEADWATER = "headwater-signature"  # t=SECONDS,v1=HEX; the only one that a replay can be told from


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    digests: tuple[bytes, ...]
    before_body: bytes = b""
    fresh: bool = True


def is_signed(
    scheme: Scheme, headers: Headers, body: bytes, *, secrets: Sequence[bytes], now_s: float, window_s: float
) -> bool:
    """Say whether one of the secrets signed this body, and within `window_s` of now where the form has a time.

    Each part of the answer is computed, whatever the others say, so that the time it takes tells nothing.
    """
    claim = _claim(scheme, headers.get(scheme.value, ""), now_s, window_s)
    found = False
    for secret in secrets:
        expected = hmac.digest(secret, claim.before_body + body, hashlib.sha256)
        for digest in claim.digests:
            found |= hmac.compare_digest(expected, digest)
    return found & claim.fresh


def _claim(scheme: Scheme, value: str, now_s: float, window_s: float) -> _Claim:
    if scheme is Scheme.HEADWATER:
        return _timed(value, now_s, window_s)
    found = _HUB.fullmatch(value.strip())
    return _Claim(digests=(bytes.fromhex(found[1]),) if found else ())


def _timed(value: str, now_s: float, window_s: float) -> _Claim:
    pairs = [(name.strip(), given.strip()) for name, _, given in (part.partition("=") for part in value.split(","))]
    times = [given for name, given in pairs if name == "t"]
    digests = [given for name, given in pairs if name == "v1"]
    if len(times) != 1 or not _TIME.fullmatch(times[0]) or not all(map(_HEX.fullmatch, digests)):
        return _Claim(digests=())
    return _Claim(
        digests=tuple(bytes.fromhex(each) for each in digests[:_MOST_DIGESTS]),
        before_body=f"{times[0]}.".encode(),
        fresh=abs(now_s - int(times[0])) <= window_s,
    )
