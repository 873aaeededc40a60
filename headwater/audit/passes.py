"""One pass over all documents of one generation, a range at a time, beside everything that goes on meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from headwater.audit.comparing import Look, Population, Sums, compare, confirmed
from headwater.audit.judging import Horizon, LoggedDocument
from headwater.ports.consistency import Difference, Finding, Holdings, IdRange, Projection
from headwater.ports.heads import Positions
from headwater.settings import AuditSettings
from schemas.ids import DocumentId, GenerationName, TenantId

# Documents of a range: some megabytes of holdings in memory, and rows that one answer of a store can carry.
RANGE_DOCUMENTS: Final = 1_000
_MAX_RANGES: Final = 1 << 20
# Kept of one pass, with what is needed to repair them; counts are exact, and the next pass finds the rest.
MAX_FINDINGS: Final = 10_000


class LoggedDocuments(Protocol):
    """The documents of the log, in order."""

    def count(self) -> int: ...

    def documents(self, ids: IdRange) -> Iterator[LoggedDocument]: ...


class Log(Protocol):
    """The log, read into a table."""

    @property
    def table(self) -> LoggedDocuments: ...

    async def catch_up(self) -> Positions: ...


@dataclass(slots=True, kw_only=True)
class PassResult:
    """What a pass found, over all tenants."""

    generation: GenerationName
    started_at: datetime
    finished_at: datetime
    positions: Positions
    behind: bool  # stages were behind: nothing that is not complete was judged
    not_compared: tuple[Projection, ...] = ()  # they are being rebuilt: rows that are missing there will come
    ranges: int
    differing_ranges: tuple[IdRange, ...]
    population: dict[TenantId, Population] = field(default_factory=dict)
    sums: dict[tuple[TenantId, Projection], Sums] = field(default_factory=dict)
    counts: dict[tuple[TenantId, Projection, Difference], int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    subjects: dict[DocumentId, LoggedDocument] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Say whether everything that was judged agrees."""
        return not self.counts

    @property
    def tenants(self) -> frozenset[TenantId]:
        """Whoever has documents in the log, or rows anywhere."""
        return frozenset(self.population) | frozenset(tenant for tenant, _ in self.sums)

    def add(self, look: Look) -> None:
        """Take in what one range came to."""
        for tenant, population in look.population.items():
            self.population[tenant] = self.population.get(tenant, Population()) + population
        for place, sums in look.sums.items():
            self.sums[place] = self.sums.get(place, Sums()) + sums
        for finding in look.findings:
            key = finding.tenant_id, finding.projection, finding.difference
            self.counts[key] = self.counts.get(key, 0) + 1
            if len(self.findings) < MAX_FINDINGS:
                self.findings.append(finding)
                if finding.document_id in look.subjects:
                    self.subjects[finding.document_id] = look.subjects[finding.document_id]


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Compares projections with the log."""

    log: Log
    projections: Mapping[Projection, Holdings]
    generation: GenerationName
    settings: AuditSettings
    removal_grace_s: float  # of the sweeper
    behind: Callable[[], Awaitable[bool]]  # have stages of the generation old events to read?
    rebuilding: Callable[[], Awaitable[Collection[Projection]]]  # which are being refilled, and asked by nobody?
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000

    async def run_pass(self) -> PassResult:
        """Compare everything once; look twice at what differs. Raises what the stores and the log raise."""
        started_ms = self.now_ms()
        positions = await self.log.catch_up()
        behind, away = await self.behind(), frozenset(await self.rebuilding())
        ranges = IdRange.whole().parts(_range_count(self.log.table.count()))
        looks = {ids: await self._look(ids, behind=behind, away=away) for ids in ranges}
        suspicious = [ids for ids, look in looks.items() if look.findings]
        if suspicious:
            positions = await self.log.catch_up()
            behind, away = behind or await self.behind(), away | frozenset(await self.rebuilding())
            for ids in suspicious:
                looks[ids] = confirmed(looks[ids], await self._look(ids, behind=behind, away=away))
        result = PassResult(
            generation=self.generation,
            started_at=_instant(started_ms),
            finished_at=_instant(self.now_ms()),
            positions=positions,
            behind=behind,
            not_compared=tuple(sorted(away)),
            ranges=len(ranges),
            differing_ranges=tuple(ids for ids in suspicious if looks[ids].findings),
        )
        for look in looks.values():
            result.add(look)
        return result

    async def _look(self, ids: IdRange, *, behind: bool, away: Collection[Projection]) -> Look:
        began = time.monotonic()
        horizon = Horizon(
            now_ms=self.now_ms(),
            grace_ms=round(self.settings.grace_s * 1_000),
            removal_ms=round((self.removal_grace_s + self.settings.sweep_leeway_s) * 1_000),
            behind=behind,
        )
        documents = list(self.log.table.documents(ids))
        held = {
            projection: await source.holdings(ids)
            for projection, source in self.projections.items()
            if projection not in away
        }
        look = compare(documents, held, horizon)
        # Queries come first: the stores rest between two ranges, longer the longer a range took them.
        await asyncio.sleep((time.monotonic() - began) * (1 / self.settings.share - 1))
        return look


def _range_count(documents: int) -> int:
    return min(max(1, -(-documents // RANGE_DOCUMENTS)), _MAX_RANGES)


def _instant(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, tz=UTC)
