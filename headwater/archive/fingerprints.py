"""A fingerprint of the heads: equal for equal heads, whatever their order, partitions and offsets."""

import hashlib
import json

from schemas.events.documents import DocumentChanged

_MODULUS = 2**256


class HeadsFingerprint:
    """Sum of one hash a head, modulo 2^256: the multiset hash MSet-Add-Hash (Clarke et al., ASIACRYPT 2003)."""

    def __init__(self) -> None:
        self._sum = 0
        self.heads = 0

    def add(self, digest: bytes) -> None:
        """Take in the `head_hash` of one document."""
        self._sum = (self._sum + int.from_bytes(digest)) % _MODULUS
        self.heads += 1

    def text(self) -> str:
        """Return the fingerprint as 64 hex digits."""
        return f"{self._sum:064x}"


def head_hash(record: DocumentChanged) -> bytes:
    """Return 32 bytes over document, revision, operation, access and content hash: what a restore brings back."""
    facts = (
        record.tenant_id,
        record.document_id,
        record.revision,
        record.op.value,
        [clause.principals for clause in record.access.clauses],
        record.access.deny,
        None if record.content is None else record.content.sha256,
    )
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).digest()
