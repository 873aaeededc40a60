"""Decides what a submission becomes: a pure function of the submission, the document's head and a context.

The order of the checks is part of the contract: a replay is recognised before anything can refuse it, what is out of
order before what is wrong, and what changes nothing costs no quota.
"""

import uuid
from dataclasses import replace
from datetime import timedelta

from schemas.events.base import Lane, Position
from schemas.events.documents import (
    NOBODY,
    DeletionQuarantined,
    DocumentChanged,
    DocumentOp,
    DocumentState,
    DocumentSubmitted,
    SubmissionOp,
)
from schemas.ids import Revision
from streams.admit.context import Context
from streams.admit.limits import beyond_deletion_budget, check_deletable, check_file, check_quota
from streams.admit.outcomes import (
    Admitted,
    DocumentDecision,
    DocumentHead,
    Drop,
    Dropped,
    Quarantined,
    Refusal,
    RefusedError,
)
from streams.admit.state import keeping_obligations, normalised, patched, same, state_of
from streams.admit.validation import check_state, check_submission

# A submission topic that was created anew counts from zero again. Its submissions lie below the offsets that heads
# remember, but not before them in time, clocks of two API hosts allowed to differ by this much.
CLOCK_SKEW = timedelta(minutes=1)

_EVENT_IDS = uuid.UUID("6f1c8d5e-0a53-5b1e-9d0b-3f6a6b6f2a41")


def decide(submission: DocumentSubmitted, head: DocumentHead | None, context: Context) -> DocumentDecision:
    """Say whether the submission becomes a record of the log. Same arguments, same answer, the event's id included."""
    if head is not None and _is_replay(submission, head, context):
        return Dropped(reason=Drop.REPLAYED)
    try:
        check_submission(submission)
        if submission.op is SubmissionOp.RERUN:
            return _rerun(submission, head, context)
        _check_rights(submission, head, context)
        _check_order(submission, head)
        if submission.op is SubmissionOp.DELETE:
            return _delete(submission, head, context)
        if submission.op is SubmissionOp.PUT:
            return _put(submission, head, context)
        return _upsert(submission, head, context)
    except RefusedError as error:
        return error.refused


def event_id_of(position: Position, role: str) -> uuid.UUID:
    """Name the event that follows from one submission: the same again when the submission is read again."""
    return uuid.uuid5(_EVENT_IDS, f"{role}/{position.topic}/{position.partition}/{position.offset}")


def next_revision(previous: Revision | None, now_ms: int) -> Revision:
    """Number a record: wall clock in ms, but always above its predecessor, whatever the clock does."""
    return Revision(now_ms if previous is None else max(previous + 1, now_ms))


def deletion_of(record: DocumentChanged, context: Context, *, lane: Lane) -> DocumentChanged:
    """Return the record that deletes a document: stripped of everything but ids and times."""
    return replace(
        record,
        event_id=event_id_of(context.position, f"deleted/{record.document_id}"),
        revision=next_revision(record.revision, context.now_ms),
        op=DocumentOp.DELETED,
        lane=lane,
        title="",
        url=None,
        media_type=None,
        language=None,
        content=None,
        access=NOBODY,
        attributes={},
        links=(),
        classification=None,
        retain_until=None,
        holds=(),
        region=None,
        admitted_at=context.now,
        directory_position=context.directory_position,
        submitted=context.position,
        approved=False,
    )


def _is_replay(submission: DocumentSubmitted, head: DocumentHead, context: Context) -> bool:
    seen_before = context.position.offset <= head.offset(submission.lane)
    return seen_before and submission.observed_at <= head.record.observed_at + CLOCK_SKEW


def _check_rights(submission: DocumentSubmitted, head: DocumentHead | None, context: Context) -> None:
    if head is not None and head.record.source != submission.source:
        raise RefusedError(Refusal.NOT_OWNER, "source: another source owns this document and alone may write it")
    if context.tenant(submission.tenant_id) is None:
        raise RefusedError(Refusal.UNKNOWN_TENANT, "tenant_id: no such tenant; create it in the directory first")
    if context.source(submission.tenant_id, submission.source) is None:
        raise RefusedError(Refusal.UNKNOWN_SOURCE, "source: no such source; create it in the directory first")


def _check_order(submission: DocumentSubmitted, head: DocumentHead | None) -> None:
    if submission.expected_revision is not None:
        current = head.record.revision if head is not None and head.exists else 0
        if submission.expected_revision != current:
            raise RefusedError(
                Refusal.REVISION_MISMATCH, f"expected_revision: the document is at {current}; read it and try again"
            )
    seen = None if head is None else head.seen_version
    if submission.source_version is not None and seen is not None and submission.source_version < seen:
        raise RefusedError(Refusal.STALE, f"source_version: {seen} was seen already; only newer states are admitted")


def _put(submission: DocumentSubmitted, head: DocumentHead | None, context: Context) -> DocumentDecision:
    """A full state says that the document is there, also where it is refused: its deletion waits no longer."""
    if head is None or head.waiting is None:
        return _upsert(submission, head, context)
    there = replace(head, waiting=None)
    try:
        return _upsert(submission, there, context)
    except RefusedError as error:
        return replace(error.refused, head=there)


def _upsert(submission: DocumentSubmitted, head: DocumentHead | None, context: Context) -> DocumentDecision:
    previous = state_of(head.record) if head is not None and head.exists else None
    state = normalised(_wanted(submission, previous))
    if head is not None and previous is not None and same(state, previous):
        return Dropped(reason=Drop.UNCHANGED, head=_learnt(submission, head, context))
    check_state(state)
    if previous is None or state.knowledge_base != previous.knowledge_base:
        _check_knowledge_base(submission, state, context)
    if state.region is not None and context.region is not None and state.region != context.region:
        raise RefusedError(Refusal.WRONG_REGION, f"region: this installation keeps content in {context.region!r} only")
    check_file(submission, state, previous, context)
    check_quota(submission, state, previous, context)
    record = DocumentChanged(
        **{name: getattr(state, name) for name in DocumentState.__dataclass_fields__},
        event_id=event_id_of(context.position, "changed"),
        tenant_id=submission.tenant_id,
        occurred_at=submission.occurred_at,
        observed_at=submission.observed_at,
        document_id=submission.document_id,
        source=submission.source,
        external_id=submission.external_id,
        revision=next_revision(None if head is None else head.record.revision, context.now_ms),
        source_version=_version(submission, head),
        op=DocumentOp.UPSERTED,
        lane=submission.lane,
        admitted_at=context.now,
        directory_position=context.directory_position,
        submitted=context.position,
    )
    return _admitted(record, submission, head, context)


def _wanted(submission: DocumentSubmitted, previous: DocumentState | None) -> DocumentState:
    if submission.patch is not None:
        if previous is None:
            raise RefusedError(Refusal.UNKNOWN_DOCUMENT, "external_id: no such document; submit its full state first")
        return patched(previous, submission.patch)
    if submission.state is None:
        raise RefusedError(Refusal.INVALID, "state: missing")
    return submission.state if previous is None else keeping_obligations(submission.state, previous)


def _check_knowledge_base(submission: DocumentSubmitted, state: DocumentState, context: Context) -> None:
    if context.knowledge_base(submission.tenant_id, state.knowledge_base) is None:
        raise RefusedError(
            Refusal.UNKNOWN_KNOWLEDGE_BASE, "knowledge_base: no such knowledge base; create it in the directory first"
        )


def _delete(submission: DocumentSubmitted, head: DocumentHead | None, context: Context) -> DocumentDecision:
    if head is None:
        return Dropped(reason=Drop.GONE_ALREADY)
    if not head.exists:
        return Dropped(reason=Drop.GONE_ALREADY, head=_learnt(submission, head, context))
    waits = None if head.waiting is None else head.waiting.submitted
    if submission.approves is not None and submission.approves != waits:
        return Dropped(reason=Drop.SUPERSEDED, head=_learnt(submission, head, context))
    check_deletable(head.record, context.now)
    if submission.approves is None:
        if waits is not None:
            return Dropped(reason=Drop.WAITING, head=_learnt(submission, head, context))
        why = _must_wait(submission, context)
        if why is not None:
            return _quarantined(submission, head, context, *why)
    record = replace(
        deletion_of(head.record, context, lane=submission.lane),
        occurred_at=submission.occurred_at,
        observed_at=submission.observed_at,
        source_version=_version(submission, head),
        approved=submission.approves is not None,
    )
    return _admitted(record, submission, replace(head, waiting=None), context)


def _must_wait(submission: DocumentSubmitted, context: Context) -> tuple[Refusal, str] | None:
    """Say why a deletion is an administrator's to approve, None where it is not. What is doubted costs no budget."""
    if submission.doubt is not None:
        return Refusal.DELETION_DOUBTED, submission.doubt
    beyond = beyond_deletion_budget(submission, context)
    return None if beyond is None else (Refusal.DELETION_BUDGET, beyond)


def _quarantined(
    submission: DocumentSubmitted, head: DocumentHead, context: Context, reason: Refusal, detail: str
) -> Quarantined:
    waiting = DeletionQuarantined(
        event_id=event_id_of(context.position, "quarantined"),
        tenant_id=submission.tenant_id,
        occurred_at=submission.occurred_at,
        observed_at=submission.observed_at,
        document_id=submission.document_id,
        source=submission.source,
        external_id=submission.external_id,
        source_version=submission.source_version,
        actor=submission.actor,
        reason=detail,
        quarantined_at=context.now,
        submitted=context.position,
    )
    return Quarantined(head=replace(_learnt(submission, head, context), waiting=waiting), detail=detail, reason=reason)


def _rerun(submission: DocumentSubmitted, head: DocumentHead | None, context: Context) -> DocumentDecision:
    """Append the head again. It was judged when it was first admitted: no directory, quota or budget is asked now.

    `directory_position` stays too. Were it newer, a document of a knowledge base that has been deleted would look
    admitted after the deletion, and be passed over when the documents are purged.
    """
    if head is None or head.record.revision != submission.expected_revision:
        learnt = None if head is None else _learnt(submission, head, context)
        return Dropped(reason=Drop.SUPERSEDED, head=learnt)
    record = replace(
        head.record,
        event_id=event_id_of(context.position, "changed"),
        observed_at=submission.observed_at,  # freshness is counted from here, not from the first attempt
        revision=next_revision(head.record.revision, context.now_ms),
        lane=submission.lane,
        admitted_at=context.now,
        submitted=context.position,
    )
    return _admitted(record, submission, head, context)


def _version(submission: DocumentSubmitted, head: DocumentHead | None) -> int | None:
    """Without a version the order of arrival decides, but an older state of the source stays older."""
    seen = None if head is None else head.seen_version
    return seen if submission.source_version is None else submission.source_version


def _admitted(
    record: DocumentChanged, submission: DocumentSubmitted, head: DocumentHead | None, context: Context
) -> Admitted:
    base = DocumentHead(record=record, seen_version=None) if head is None else replace(head, record=record)
    learnt = _learnt(submission, base, context)
    named = learnt.naming_submissions()
    return Admitted(record=named, head=replace(learnt, record=named))


def _learnt(submission: DocumentSubmitted, head: DocumentHead, context: Context) -> DocumentHead:
    live = submission.lane is Lane.LIVE
    return replace(
        head,
        seen_version=_version(submission, head),
        live_offset=context.position.offset if live else head.live_offset,
        backfill_offset=head.backfill_offset if live else context.position.offset,
    )
