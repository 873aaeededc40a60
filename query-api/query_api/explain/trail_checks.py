"""Causes on a document's trail: what the log says of it, what the stages did, whom it is for. Each is pure."""

from collections.abc import Sequence
from typing import Final

from headwater.access.gate import Verdict as GateVerdict
from headwater.access.gate import judge_document
from query_api.explain.evidence import ADMIT, STAGES, Trail
from query_api.explain.verdicts import (
    Deleted,
    Expired,
    Hidden,
    NeverSubmitted,
    Parked,
    Place,
    Refused,
    Superseded,
    Verdict,
    Waiting,
)
from schemas.events.base import Store
from schemas.events.documents import DocumentOp, ProgressOutcome
from schemas.events.parked import EventParked
from schemas.ids import Revision
from schemas.topics import Topic

_ALONG_THE_WAY: Final = ("prepare", "embed", "index-keywords", "index-vectors")


def refused(trail: Trail) -> Verdict | None:
    """The newest submission was refused, and nothing older is there."""
    head = trail.head
    return None if head is not None and head.op is not DocumentOp.DELETED else refused_since(trail)


def refused_since(trail: Trail) -> Refused | None:
    """Return the newest submission, if it was refused after what is in the log was admitted."""
    refusal, head = trail.refusal, trail.head
    if refusal is None:
        return None
    # Revisions are milliseconds of admission's clock: a refusal from before this one explains nothing.
    if head is not None and refusal.refused_at.timestamp() * 1_000 < head.revision:
        return None
    return Refused(
        reason=refusal.reason,
        explanation=refusal.detail,
        action=refusal.action,
        actor=refusal.actor,
        refused_at=refusal.refused_at,
    )


def not_admitted(trail: Trail) -> Verdict | None:
    """Nothing is in the log: it waits for admission, or was never submitted."""
    if trail.head is not None:
        return None
    before = [backlog for backlog in trail.backlogs if backlog.stage == ADMIT and backlog.events]
    if not before:
        return NeverSubmitted(expired_unread=trail.expired_unread)
    behind = sum(backlog.events for backlog in before)
    place = Place(stage=ADMIT, store=None, partition=before[0].partition, behind=behind)
    return Waiting(places=(place,), answering=None)


def deleted(trail: Trail) -> Verdict | None:
    """The newest state is a deletion, of its own or together with its knowledge base."""
    head = trail.head
    if head is None or head.op is not DocumentOp.DELETED:
        return None
    if trail.purged:
        return Expired(knowledge_base=head.knowledge_base, revision=head.revision)
    return Deleted(revision=head.revision)


def expired(trail: Trail) -> Verdict | None:
    """The knowledge base or the tenant is deleted; the document's own deletion follows."""
    head = trail.head
    if head is None or judge_document(head, trail.view) is not GateVerdict.CONTAINER_GONE:
        return None
    return Expired(knowledge_base=head.knowledge_base, revision=head.revision)


def replica_behind(trail: Trail) -> Verdict | None:
    """This replica has not read the directory as far as the document's writer had."""
    head = trail.head
    if head is None or judge_document(head, trail.view) is not GateVerdict.DIRECTORY_BEHIND:
        return None
    behind = head.directory_position - trail.view.directory_position
    return Waiting(places=(Place(stage="replica", store=None, partition=None, behind=behind),), answering=None)


def superseded(trail: Trail) -> Verdict | None:
    """An older revision was asked for, and a newer one is complete, or neither is."""
    head, asked = trail.head, trail.asked_revision
    if head is None or asked is None or asked >= head.revision:
        return None
    complete = [revision for store in trail.asked if (revision := trail.complete(store)) is not None]
    if max(complete, default=None) == asked:
        return None  # no newer one is complete yet: this one still answers
    return Superseded(revision=asked, newest=head.revision)


def parked(trail: Trail) -> Verdict | None:
    """A stage on the way into a store that was asked set the newest revision aside."""
    for store in _missing(trail):
        report = trail.reports.get(store)
        failed = report is not None and (report.revision, report.outcome) == (trail.revision, ProgressOutcome.FAILED)
        letter = _letter(trail, STAGES[store])
        failure = report if failed else letter
        if failure is None:
            continue
        return Parked(
            stage=failure.stage or "unknown",
            error=failure.error or "unknown",
            reason=failure.reason or "unknown",
            attempts=letter.attempts if letter else None,
            parked_at=letter.parked_at if letter else None,
            origin=letter.origin if letter else None,
            answering=_answering(trail),
        )
    return None


def waiting(trail: Trail) -> Verdict | None:
    """The newest revision is not complete in every store that was asked."""
    places = tuple(sorted((_place(trail, store) for store in _missing(trail)), key=_along_the_way))
    return Waiting(places=places, answering=_answering(trail)) if places else None


def _missing(trail: Trail) -> list[Store]:
    """Return the asked stores to which the newest revision has not come; none where an older one is explained."""
    if trail.head is None or trail.revision != trail.head.revision:
        return []
    return [store for store in STAGES if store in trail.asked and trail.complete(store) != trail.revision]


def _letter(trail: Trail, stages: Sequence[str]) -> EventParked | None:
    return next(
        (
            letter
            for letter in trail.letters
            if (letter.revision, letter.generation) == (trail.revision, trail.generation) and letter.stage in stages
        ),
        None,
    )


def _answering(trail: Trail) -> Revision | None:
    complete = [revision for store in trail.asked if (revision := trail.complete(store)) is not None]
    older = [revision for revision in complete if trail.revision is not None and revision < trail.revision]
    return max(older, default=None)


def _place(trail: Trail, store: Store) -> Place:
    """Return the first stage on the way into a store that still has to read what lies before the revision.

    The heavy lane is named last: what waits there may be another document, and says nothing while a stage waits.
    """
    deferred = [each for each in trail.backlogs if each.topic is Topic.DOCUMENTS_DEFERRED and each.events]
    backlogs = {
        backlog.stage: backlog
        for backlog in trail.backlogs
        if backlog.stage in STAGES[store] and backlog.topic is not Topic.DOCUMENTS_DEFERRED
    }
    for stage in STAGES[store]:
        backlog = backlogs.get(stage)
        if backlog is None:
            continue
        behind = backlog.events
        if trail.changed is not None and stage == STAGES[store][0]:
            behind = max(0, trail.changed.offset + 1 - backlog.position)
        if behind:
            return Place(stage=stage, store=store, partition=backlog.partition, behind=behind)
    if deferred:
        lane = deferred[0]
        return Place(stage=lane.stage, store=store, partition=lane.partition, behind=lane.events)
    last = STAGES[store][-1]
    partition = backlogs[last].partition if last in backlogs else None
    return Place(stage=last, store=store, partition=partition, behind=0)


def _along_the_way(place: Place) -> int:
    return _ALONG_THE_WAY.index(place.stage)


def hidden(trail: Trail) -> Verdict | None:
    """The access rule does not admit the user."""
    head = trail.head
    if head is None or judge_document(head, trail.view) is not GateVerdict.FORBIDDEN:
        return None
    principals = trail.view.principals
    return Hidden(
        user=trail.user,
        unmatched_clauses=tuple(
            number for number, clause in enumerate(head.access.clauses) if principals.isdisjoint(clause.principals)
        ),
        denied_by=tuple(sorted(principals & frozenset(head.access.deny))),
    )
