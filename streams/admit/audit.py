"""Who did what to what: one audit event for each decision."""

from datetime import UTC, datetime
from typing import Final

from schemas.events.base import Event, Lane, Position
from schemas.events.directory import DirectorySubmitted
from schemas.events.documents import DocumentSubmitted
from schemas.events.queries import AuditRecorded
from schemas.ids import Principal
from streams.admit.context import Context
from streams.admit.erasure import Candidate
from streams.admit.outcomes import (
    Admitted,
    AdmittedDirectory,
    DirectoryDecision,
    DocumentDecision,
    Drop,
    Dropped,
    Quarantined,
    Refusal,
    Refused,
)
from streams.admit.step import event_id_of

_DROPPED: Final = {Drop.REPLAYED: "replayed", Drop.SUPERSEDED: "superseded"}


def outcome_of(decision: DocumentDecision | DirectoryDecision) -> str:
    """Return the decision as one word of a closed set: for the audit trail and as a metric label."""
    match decision:
        case Admitted() | AdmittedDirectory():
            return "accepted"
        case Dropped(reason=reason):
            return _DROPPED.get(reason, "unchanged")
        case Refused(reason=Refusal.STALE):
            return "superseded"
        case Refused():
            return "refused"
        case Quarantined():
            return "quarantined"


def audit_document(submission: DocumentSubmitted, decision: DocumentDecision, context: Context) -> AuditRecorded | None:
    """Return what the audit trail says; None for a replay (it was said before) and for an unchanged backfill."""
    outcome = outcome_of(decision)
    if outcome == "replayed" or (outcome == "unchanged" and submission.lane is Lane.BACKFILL):
        return None
    actor = submission.actor or Principal(f"source:{submission.source}")
    resource = f"documents/{submission.document_id}"
    return _recorded(submission, decision, context, actor, f"documents.{submission.op.value}", resource)


def audit_directory(command: DirectorySubmitted, decision: DirectoryDecision, context: Context) -> AuditRecorded | None:
    """Return what the audit trail says; None for a replay."""
    if outcome_of(decision) == "replayed":
        return None
    actor = command.actor or Principal("system")
    resource = f"{command.kind.value}/{command.record_id}"
    return _recorded(command, decision, context, actor, f"directory.{command.op.value}", resource)


def audit_erasure(candidate: Candidate, topic: str, partition: int, now_ms: int) -> AuditRecorded:
    """Return what the audit trail says of a document whose deletion is no longer remembered."""
    now = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
    # There is no submission: the revision of the deletion names the event, and the same again when it is repeated.
    position = Position(topic=topic, partition=partition, offset=candidate.revision)
    return AuditRecorded(
        event_id=event_id_of(position, f"erased/{candidate.document_id}"),
        tenant_id=candidate.tenant_id,
        occurred_at=now,
        observed_at=now,
        actor=Principal("system"),
        action="documents.erase",
        resource=f"documents/{candidate.document_id}",
        outcome="accepted",
        reason=None,
        client_address=None,
    )


def _recorded(
    cause: Event,
    decision: DocumentDecision | DirectoryDecision,
    context: Context,
    actor: Principal,
    action: str,
    resource: str,
) -> AuditRecorded:
    return AuditRecorded(
        event_id=event_id_of(context.position, "audit"),
        tenant_id=cause.tenant_id,
        occurred_at=cause.occurred_at,
        observed_at=context.now,
        actor=actor,
        action=action,
        resource=resource,
        outcome=outcome_of(decision),
        reason=f"{decision.reason.value}: {decision.detail}" if isinstance(decision, Refused | Quarantined) else None,
        client_address=None,
    )
