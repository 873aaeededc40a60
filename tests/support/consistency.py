"""Audits without servers: projections in memory, a log that a test writes, reports that are kept."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from headwater.access.policies import MIXED, Policy, policy_of
from headwater.audit.judging import LoggedDocument
from headwater.ports.consistency import ConsistencyReport, Holding, IdRange
from headwater.ports.heads import Positions
from headwater.ports.rows import ChunkRow
from schemas.ids import DocumentId, GenerationName, Revision, TenantId

Place = tuple[TenantId, DocumentId, Revision]


class RowHoldings:
    """Implements Holdings over rows by id, as the fake stores keep them."""

    def __init__(self, rows: dict[str, ChunkRow]) -> None:
        self.rows = rows

    async def holdings(self, ids: IdRange) -> Sequence[Holding]:
        found = [row for row in self.rows.values() if ids.holds(row.document_id)]
        counts = Counter(_place(row) for row in found)
        policies: dict[Place, Policy] = {}
        for row in found:
            policy = policy_of(row.readers, row.readers_second)
            if policies.setdefault(_place(row), policy) != policy:
                policies[_place(row)] = MIXED
        return [
            Holding(tenant_id=place[0], document_id=place[1], revision=place[2], rows=count, policy=policies[place])
            for place, count in counts.items()
        ]

    async def remove(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        gone = [row_id for row_id, row in self.rows.items() if _place(row) == (tenant, document, revision)]
        for row_id in gone:
            del self.rows[row_id]
        return len(gone)


@dataclass(slots=True)
class HeldList:
    """Implements Holdings over a list that a test changes at will."""

    held: list[Holding]
    removed: list[Place] = field(default_factory=list)

    async def holdings(self, ids: IdRange) -> Sequence[Holding]:
        return [each for each in self.held if ids.holds(each.document_id)]

    async def remove(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        place = tenant, document, revision
        gone = [each for each in self.held if (each.tenant_id, each.document_id, each.revision) == place]
        self.held = [each for each in self.held if each not in gone]
        self.removed.append(place)
        return sum(each.rows for each in gone)


@dataclass(slots=True)
class FakeTable:
    """The log's documents."""

    logged: list[LoggedDocument]

    def count(self) -> int:
        return len(self.logged)

    def documents(self, ids: IdRange) -> Iterator[LoggedDocument]:
        return iter([each for each in self.logged if ids.holds(each.document_id)])


@dataclass(slots=True)
class FakeAuditLog:
    """A log; `meanwhile` is what it has more of when it is read on."""

    table: FakeTable
    meanwhile: list[LoggedDocument] = field(default_factory=list)
    reads: int = 0

    async def catch_up(self) -> Positions:
        self.reads += 1
        if self.reads > 1:
            newer = {each.document_id for each in self.meanwhile}
            kept = [each for each in self.table.logged if each.document_id not in newer]
            self.table.logged = [*kept, *self.meanwhile]
        return {"rag.documents.changed": {0: self.reads}}


@dataclass(slots=True)
class KeptReports:
    """Implements ConsistencyReports."""

    reports: dict[tuple[TenantId, GenerationName], ConsistencyReport] = field(default_factory=dict)

    async def save(self, reports: Sequence[ConsistencyReport]) -> None:
        self.reports |= {(each.tenant_id, each.generation): each for each in reports}

    async def newest(self, tenant: TenantId, *, generation: GenerationName) -> ConsistencyReport | None:
        return self.reports.get((tenant, generation))


def _place(row: ChunkRow) -> Place:
    return row.tenant_id, row.document_id, row.revision
