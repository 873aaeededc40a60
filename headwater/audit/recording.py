"""A pass from the question to what is left of it: compared, repaired where wanted, told to everybody."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from headwater.audit.passes import Auditor, PassResult
from headwater.audit.repairing import Repairer
from headwater.audit.reporting import reports, trail
from headwater.ports.consistency import ConsistencyReport, ConsistencyReports, Difference, Projection, Repairs
from headwater.telemetry.metrics import CONSISTENCY_DIFFERENCES, CONSISTENCY_PASS_SECONDS
from schemas.events.base import Event
from schemas.ids import TenantId

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOutcome:
    """What a pass found and did, and the reports that were made of it."""

    result: PassResult
    reports: tuple[ConsistencyReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Runs passes. One at a time."""

    auditor: Auditor
    repairer: Repairer
    kept: ConsistencyReports
    send: Callable[[Event], Awaitable[object]]  # returns once the broker holds the event

    async def run(self, *, repair: bool) -> PassOutcome:
        """Run one pass. What was found is reported even where its repair fails; what of it was done is not, then.

        Raises RetryableError when the log, a store or the broker is away, FatalError when an index is missing.
        """
        result = await self.auditor.run_pass()
        _measure(result)
        repairs: Mapping[TenantId, Repairs] = {}
        try:
            if repair:
                repairs = await self.repairer.repair(result, known=self.auditor.log.table.count())
        finally:
            made = await self._told(result, repairs)
        return PassOutcome(result=result, reports=made)

    async def _told(self, result: PassResult, repairs: Mapping[TenantId, Repairs]) -> tuple[ConsistencyReport, ...]:
        made = reports(result, repairs, clean_before=await self._clean_before(result))
        for report in made:
            for event in trail(report):
                await self.send(event)
        await self.kept.save(made)
        return made

    async def _clean_before(self, result: PassResult) -> Mapping[TenantId, datetime | None]:
        """Ask since when those tenants were clean that are not known to be clean now: of the others it is now."""
        before: dict[TenantId, datetime | None] = {}
        differing = {tenant for tenant, _, _ in result.counts}
        for tenant in sorted(result.tenants if result.not_compared else differing):
            report = await self.kept.newest(tenant, generation=result.generation)
            before[tenant] = None if report is None else report.clean_at
        return before


def _measure(result: PassResult) -> None:
    duration_s = (result.finished_at - result.started_at).total_seconds()
    CONSISTENCY_PASS_SECONDS.set(duration_s)
    for projection in Projection:
        for difference in Difference:
            count = sum(
                number for (_, where, how), number in result.counts.items() if where is projection and how is difference
            )
            CONSISTENCY_DIFFERENCES.labels(store=projection.value, difference=difference.value).set(count)
    log.info(
        "pass_ended",
        generation=result.generation,
        count=sum(result.counts.values()),
        total=sum(each.documents for each in result.population.values()),
        duration_s=round(duration_s, 3),
    )
