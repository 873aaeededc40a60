"""What an audit of the stores reads, what it finds, and where it leaves its word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, Self

from headwater.access.policies import Policy
from schemas.events.base import Position
from schemas.ids import DocumentId, GenerationName, Revision, TenantId

_BITS: Final = 32  # of an id's 128 that the bounds of a range spell out


class Projection(StrEnum):
    """What is compared with the log."""

    VECTORS = "vectors"  # rows in Milvus
    KEYWORDS = "keywords"  # rows in Elasticsearch
    DOCUMENTS = "documents"  # the documents read model: one record a document


class Difference(StrEnum):
    """How a projection differs from the log about one document."""

    MISSING = "missing"  # nothing of the document is there
    EXTRA = "extra"  # rows of a deleted or unknown document, or of another revision beside the right one
    OUTDATED = "outdated"  # another revision is there instead of the newest
    WRONG_POLICY = "wrong_policy"  # the newest revision is there, for other readers than the log says
    INCOMPLETE = "incomplete"  # some rows of the newest revision are there, but not as many as were confirmed


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class IdRange:
    """Document ids from `low` up to, but without, `high`, as text; without `high`: to the end.

    Ids are hex digits of a hash, so ranges of equal width hold about equally many documents. The first range begins
    at the empty text and the last one has no end: together they hold every id, also one that no document can have.
    """

    low: str
    high: str | None

    @classmethod
    def whole(cls) -> Self:
        """Return the range of all ids."""
        return cls(low="", high=None)

    def parts(self, count: int) -> tuple["IdRange", ...]:
        """Cut into `count` ranges of about equal width, in order; fewer where the range is too narrow."""
        low, high = self._numbers()
        cuts = [f"{cut:08x}" for cut in sorted({low + (high - low) * n // count for n in range(1, count)} - {low})]
        return tuple(
            IdRange(low=begin, high=end) for begin, end in zip([self.low, *cuts], [*cuts, self.high], strict=True)
        )

    def holds(self, document: str) -> bool:
        """Say whether an id lies in the range."""
        return self.low <= document and (self.high is None or document < self.high)

    def __str__(self) -> str:
        return f"{self.low or '0'}-{self.high or 'end'}"

    def _numbers(self) -> tuple[int, int]:
        low = int(self.low[:8].ljust(8, "0"), 16) if self.low else 0
        return low, (1 << _BITS) if self.high is None else int(self.high[:8].ljust(8, "0"), 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a projection holds of one revision of one document."""

    tenant_id: TenantId
    document_id: DocumentId
    revision: Revision
    rows: int  # that readers see now; of the read model: 1
    policy: Policy  # of all rows, MIXED where they disagree


class Holdings(Protocol):
    """A projection as an audit reads it: no text, no vectors, a bounded part at a time.

    Raises RetryableError when the store is busy or away, FatalError when an index is missing or access is refused.
    """

    async def holdings(self, ids: IdRange) -> Sequence[Holding]:
        """Return one holding per document and revision with an id in the range, of all tenants, in no order."""
        ...

    async def remove(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        """Remove what is held of exactly this revision; gone for readers on return. Return how many rows went.

        Safe to repeat, and beside any writer: another revision is never touched.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One document about which one projection differs from the log."""

    tenant_id: TenantId
    document_id: DocumentId
    projection: Projection
    difference: Difference
    revision: Revision | None  # the log's newest; none: the log does not know the document
    stray: tuple[Revision, ...] = ()  # held, and neither the newest nor waiting for the sweeper: may be removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Sums over one projection. Fingerprints are 32 hex digits; documents under way are left out of all of it."""

    documents: int
    rows: int
    fingerprint: str
    expected: str  # the fingerprint of what the log says should be there


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairs:
    """What was done about findings, in documents."""

    rerun: int = 0  # submitted to run again under a new revision
    removed: int = 0  # whose stray rows were removed
    refused: int = 0  # beyond a limit: nothing was done


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyReport:
    """What one pass found about one tenant in one generation."""

    tenant_id: TenantId
    generation: GenerationName
    started_at: datetime
    finished_at: datetime
    positions: tuple[Position, ...]  # of the log: the next offset of each partition, all below is compared
    documents: int  # that the log has, deleted ones included
    under_way: int  # newer than what is complete, and young: not judged
    parked: int  # failed in a stage: dead letters, not judged
    projections: Mapping[str, Tally]  # by Projection
    counts: Mapping[str, Mapping[str, int]]  # documents by Projection and Difference; no entry: none
    findings: tuple[Finding, ...]  # a bounded sample
    repairs: Repairs
    clean_at: datetime | None  # when a pass last found nothing

    @property
    def clean(self) -> bool:
        """Say whether everything that was judged agrees."""
        return not any(count for counts in self.counts.values() for count in counts.values())


class ConsistencyReports(Protocol):
    """The newest report of each tenant. Raises RetryableError when the store is away, FatalError without its index."""

    async def save(self, reports: Sequence[ConsistencyReport]) -> None:
        """Keep these reports in place of older ones of the same tenants; read back at once."""
        ...

    async def newest(self, tenant: TenantId, *, generation: GenerationName) -> ConsistencyReport | None:
        """Return a tenant's newest report, None before the first pass."""
        ...
