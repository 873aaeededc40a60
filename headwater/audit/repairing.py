"""Repair: run again what misses rows or has wrong ones, remove rows that nothing accounts for. Never in place."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from headwater.audit.judging import LoggedDocument
from headwater.audit.passes import PassResult
from headwater.ports.consistency import Difference, Finding, Holdings, Projection, Repairs
from headwater.rerun import rerun_of
from headwater.settings import AuditSettings
from headwater.telemetry.metrics import CONSISTENCY_REPAIRED
from schemas.events.base import Event, Lane
from schemas.ids import DocumentId, Principal, TenantId

log = structlog.get_logger(__name__)

ACTOR: Final = Principal("system:audit")
# Below it nobody asks how large a share of the documents is unknown: a small installation has few.
_FEW_UNKNOWN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done about findings; what is beyond a limit is counted, per tenant, and left."""

    reruns: tuple[LoggedDocument, ...]
    removals: tuple[Finding, ...]
    refused: Mapping[TenantId, int]


def plan(
    findings: tuple[Finding, ...],
    subjects: Mapping[DocumentId, LoggedDocument],
    *,
    known: int,
    settings: AuditSettings,
) -> Plan:
    """Decide what is to be done: a document runs again once, whatever it lacks and wherever.

    `known`: how many documents the log has. Where it seems to have lost many that the stores still have, it is the
    log that must be looked at: nothing of what it does not know is removed.
    """
    reruns: dict[DocumentId, LoggedDocument] = {}
    removals: dict[tuple[TenantId, DocumentId], list[Finding]] = {}
    unknown = {(each.tenant_id, each.document_id) for each in findings if each.revision is None}
    suspicious = not known or len(unknown) > max(_FEW_UNKNOWN, known * settings.unknown_share)
    refused: dict[TenantId, set[DocumentId]] = {}
    for finding in findings:
        place = finding.tenant_id, finding.document_id
        acted_on = len(reruns.keys() | {document for _, document in removals})
        full = acted_on >= settings.repair_documents and place not in removals and finding.document_id not in reruns
        if full or (suspicious and place in unknown):
            refused.setdefault(finding.tenant_id, set()).add(finding.document_id)
        elif finding.difference is Difference.EXTRA:
            removals.setdefault(place, []).append(finding)
        elif finding.document_id in subjects:
            reruns[finding.document_id] = subjects[finding.document_id]
    return Plan(
        reruns=tuple(reruns.values()),
        removals=tuple(finding for found in removals.values() for finding in found),
        refused={tenant: len(documents) for tenant, documents in refused.items()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Repairer:
    """Carries a plan out. Safe to repeat: a rerun of what is no longer the newest ends as superseded."""

    projections: Mapping[Projection, Holdings]
    send: Callable[[Event], Awaitable[object]]  # returns once the broker holds the event
    settings: AuditSettings
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    async def repair(self, result: PassResult, *, known: int) -> Mapping[TenantId, Repairs]:
        """Repair what a pass found, within the limits; return what was done, per tenant.

        Raises RetryableError when a store or the broker is away: the next pass finds what is left.
        """
        planned = plan(tuple(result.findings), result.subjects, known=known, settings=self.settings)
        for document in planned.reruns:
            await self.send(rerun_of(document, actor=ACTOR, now=self.now(), lane=Lane.BACKFILL))
            CONSISTENCY_REPAIRED.labels(repair="rerun").inc()
        for finding in planned.removals:
            await self._remove(finding)
        if planned.refused:
            CONSISTENCY_REPAIRED.labels(repair="refused").inc(sum(planned.refused.values()))
            log.warning("repairs_refused", count=sum(planned.refused.values()))
        return dict(_done(planned))

    async def _remove(self, finding: Finding) -> None:
        for revision in finding.stray:
            rows = await self.projections[finding.projection].remove(finding.tenant_id, finding.document_id, revision)
            log.info(
                "stray_rows_removed",
                store=finding.projection.value,
                document_id=finding.document_id,
                revision=revision,
                rows=rows,
            )
        CONSISTENCY_REPAIRED.labels(repair="removed").inc()


def _done(planned: Plan) -> Iterator[tuple[TenantId, Repairs]]:
    removed = {(each.tenant_id, each.document_id) for each in planned.removals}
    tenants = {each.tenant_id for each in planned.reruns} | {tenant for tenant, _ in removed} | set(planned.refused)
    for tenant in tenants:
        yield (
            tenant,
            Repairs(
                rerun=sum(each.tenant_id == tenant for each in planned.reruns),
                removed=sum(each == tenant for each, _ in removed),
                refused=planned.refused.get(tenant, 0),
            ),
        )
