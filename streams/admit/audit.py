"""Who did what to what: one audit event for each decision."""

from typing import Final

from schemas.events.base import Event, Lane
from schemas.events.directory import DirectorySubmitted
from schemas.events.documents import DocumentSubmitted
from schemas.events.queries import AuditRecorded
from schemas.ids import Principal
from streams.admit.context import Context
from streams.admit.outcomes import (
    Admitted,
    AdmittedDirectory,
    DirectoryDecision,
    DocumentDecision,
    Drop,
    Dropped,
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
        reason=f"{decision.reason.value}: {decision.detail}" if isinstance(decision, Refused) else None,
        client_address=None,
    )
