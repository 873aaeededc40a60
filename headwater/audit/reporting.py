"""A pass as each tenant is told of it: a report to keep, and what goes into the audit trail."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final
from uuid import uuid4

from headwater.audit.comparing import Population, Sums
from headwater.audit.fingerprints import spelled
from headwater.audit.passes import PassResult
from headwater.audit.repairing import ACTOR
from headwater.ports.consistency import ConsistencyReport, Difference, Projection, Repairs, Tally
from schemas.events.base import Position
from schemas.events.queries import AuditRecorded
from schemas.ids import TenantId

# In a report: enough to begin with; the counts beside them are whole.
REPORTED_FINDINGS: Final = 100
_NONE: Final = Repairs()


def reports(
    result: PassResult,
    repairs: Mapping[TenantId, Repairs],
    *,
    clean_before: Mapping[TenantId, datetime | None],
) -> tuple[ConsistencyReport, ...]:
    """Return one report for every tenant that has documents in the log, or rows anywhere."""
    return tuple(
        _report(result, tenant, repairs.get(tenant, _NONE), clean_before.get(tenant))
        for tenant in sorted(result.tenants)
    )


def trail(report: ConsistencyReport) -> Iterator[AuditRecorded]:
    """Yield what the audit trail says of a report: nothing of a clean one that needed no repair."""
    said = {
        f"{projection} {difference}": count
        for projection, counts in report.counts.items()
        for difference, count in counts.items()
    }
    if said:
        yield _event(report, action="consistency.verified", outcome="differs", said=said)
    done = {"rerun": report.repairs.rerun, "removed": report.repairs.removed, "refused": report.repairs.refused}
    if any(done.values()):
        yield _event(report, action="consistency.repaired", outcome="accepted", said=done)


def _event(report: ConsistencyReport, *, action: str, outcome: str, said: Mapping[str, int]) -> AuditRecorded:
    return AuditRecorded(
        event_id=uuid4(),
        tenant_id=report.tenant_id,
        occurred_at=report.finished_at,
        observed_at=report.finished_at,
        actor=ACTOR,
        action=action,
        resource=f"generations/{report.generation}",
        outcome=outcome,
        reason=", ".join(f"{what}: {count}" for what, count in said.items()),
        client_address=None,
    )


def _report(result: PassResult, tenant: TenantId, repairs: Repairs, clean_before: datetime | None) -> ConsistencyReport:
    population = result.population.get(tenant, Population())
    found = {projection.value: counts for projection in Projection if (counts := _counts(result, tenant, projection))}
    return ConsistencyReport(
        tenant_id=tenant,
        generation=result.generation,
        started_at=result.started_at,
        finished_at=result.finished_at,
        positions=tuple(
            Position(topic=topic, partition=partition, offset=offset)
            for topic, offsets in sorted(result.positions.items())
            for partition, offset in sorted(offsets.items())
        ),
        documents=population.documents,
        under_way=population.under_way,
        parked=population.parked,
        projections={
            projection: _tally(result.sums.get((tenant, projection), Sums()))
            for projection in Projection
            if projection not in result.not_compared
        },
        counts=found,
        findings=tuple(each for each in result.findings if each.tenant_id == tenant)[:REPORTED_FINDINGS],
        repairs=repairs,
        clean_at=clean_before if found or result.not_compared else result.finished_at,
    )


def _counts(result: PassResult, tenant: TenantId, projection: Projection) -> Mapping[str, int]:
    found = {difference: result.counts.get((tenant, projection, difference), 0) for difference in Difference}
    return {difference.value: count for difference, count in found.items() if count}


def _tally(sums: Sums) -> Tally:
    return Tally(
        documents=sums.documents, rows=sums.rows, fingerprint=spelled(sums.held), expected=spelled(sums.expected)
    )
