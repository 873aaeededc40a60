"""Order-independent fingerprints: two sets of facts agree when their sums do, whoever lists them and in which order.

The multiset hash MSet-Add-Hash (Clarke, Devadas, van Dijk, Gassend, Suh: Incremental Multiset Hash Functions,
ASIACRYPT 2003): the sum, modulo 2^128, of a hash of each element. Sums add up over parts of a set, and an accident
makes different sets equal once in 2^128.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from headwater.access.policies import Policy
from schemas.ids import DocumentId, Revision, TenantId

Fingerprint: TypeAlias = int

MODULUS: Final = 1 << 128
NOTHING: Final[Fingerprint] = 0
_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fact:
    """One revision of one document in one place: what a fingerprint is made of."""

    tenant_id: TenantId
    document_id: DocumentId
    revision: Revision
    rows: int
    policy: Policy


def fact_hash(fact: Fact) -> Fingerprint:
    """Hash one fact to 128 bits."""
    numbers = f"#{fact.document_id}#{fact.revision}#{fact.rows}#".encode()  # none of its parts holds a `#`
    digest = hashlib.blake2b(fact.policy.ljust(_BYTES, b"\0") + numbers, digest_size=_BYTES)
    digest.update(fact.tenant_id.encode())
    return int.from_bytes(digest.digest(), "big")


def fingerprint(facts: Iterable[Fact]) -> Fingerprint:
    """Return the sum of the facts' hashes; of none: NOTHING."""
    return sum(map(fact_hash, facts)) % MODULUS


def spelled(value: Fingerprint) -> str:
    """Return a fingerprint as 32 hex digits."""
    return f"{value:032x}"
