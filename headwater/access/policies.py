"""What a row says of its readers, as sixteen bytes: rows can be compared without carrying their arrays around."""

import hashlib
from collections.abc import Iterable
from typing import Final, NewType

Policy = NewType("Policy", bytes)

# Rows of one revision that disagree among themselves. A hash never has this length, so nothing equals it.
MIXED: Final = Policy(b"mixed")
_BYTES: Final = 16


def policy_of(readers: Iterable[str], readers_second: Iterable[str]) -> Policy:
    """Name two sets of readers: equal sets have equal names, in whatever order and however often they are listed.

    A store gives an array back sorted, or without its repetitions: neither changes what it lets through.
    """
    digest = hashlib.blake2b(digest_size=_BYTES)
    for principals in (readers, readers_second):
        ordered = sorted(set(principals))
        digest.update(len(ordered).to_bytes(4, "big"))
        for principal in ordered:
            raw = principal.encode()
            digest.update(len(raw).to_bytes(4, "big") + raw)
    return Policy(digest.digest())
