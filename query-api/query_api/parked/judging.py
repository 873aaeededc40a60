"""What a replay does to one dead letter: a pure function of the letter, its document's head and its original bytes.

A document's letter runs again from the head. Other letters are sent again as the events that they are, under the keys
that they should have had, and only where a repetition can do no harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

from headwater.ports.heads import Head
from headwater.rerun import rerun_of
from schemas.codec import decode
from schemas.errors import ContractError
from schemas.events import (
    CanaryMeasured,
    DocumentChanged,
    DocumentSubmitted,
    EventParked,
    FeedbackReceived,
    Lane,
    QueryExecuted,
)
from schemas.events.documents import DocumentOp
from schemas.ids import Principal, Revision
from schemas.topics import Topic

Resendable: TypeAlias = DocumentSubmitted | FeedbackReceived | QueryExecuted | CanaryMeasured


class Verdict(StrEnum):
    """What a replay does, or would do, to a letter."""

    RERUN = "rerun"  # its revision is the newest: it goes through all stages again
    RESEND = "resend"  # its event is sent to its topic again
    SUPERSEDED = "superseded"  # a newer revision exists: nothing is left to run
    UNDECODABLE = "undecodable"  # still no event of ours
    EXPIRED = "expired"  # its original is no longer in its topic
    REFUSED = "refused"  # sending it again could do harm, or nothing would come of it
    RESOLVED = "resolved"  # somebody has replayed it already


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict, why, and what is to be sent for it."""

    verdict: Verdict
    detail: str
    event: Resendable | None = None
    head: Head | None = None  # of the document that `event` is to change


# Events of one document, by its own id and revision.
_OF_DOCUMENTS: Final = frozenset(
    {
        Topic.DOCUMENTS_CHANGED,
        Topic.DOCUMENTS_DEFERRED,
        Topic.CHUNKS_PREPARED,
        Topic.CHUNKS_EMBEDDED,
        Topic.DOCUMENTS_PROGRESSED,
    }
)
# Known to their readers by ids of their own, so that a second copy replaces the first.
RESENT: Final[Mapping[Topic, type[Resendable]]] = {
    Topic.DOCUMENTS_SUBMITTED: DocumentSubmitted,
    Topic.DOCUMENTS_BACKFILL: DocumentSubmitted,
    Topic.FEEDBACK_RECEIVED: FeedbackReceived,
    Topic.QUERIES_EXECUTED: QueryExecuted,
    Topic.CANARIES_MEASURED: CanaryMeasured,
}
_REFUSALS: Final[Mapping[Topic, str]] = {
    Topic.DIRECTORY_SUBMITTED: "an old command would undo what was put since; put the record again, then discard this",
    Topic.DOCUMENTS_INGESTED: "outside consumers have this fact; only the usage figures lack it. Discard it",
}
_NO_DOCUMENT: Final = "it names no document; submit the document again if its source does not, then discard this"


def is_of_document(letter: EventParked, topic: Topic | None) -> bool:
    """Say whether a letter runs again from its document's head."""
    return topic in _OF_DOCUMENTS and None not in {letter.tenant_id, letter.document_id, letter.revision}


def judge_document(
    letter: EventParked,
    head: Head | None,
    state: DocumentChanged | None,
    *,
    actor: Principal,
    now: datetime,
    lane: Lane,
) -> Judgement:
    """Judge a letter of a document. `state` is what the read model has recorded of it, of whichever revision."""
    if head is None:
        return Judgement(verdict=Verdict.SUPERSEDED, detail="the document was erased")
    if letter.revision is None or head.revision != letter.revision:
        return Judgement(verdict=Verdict.SUPERSEDED, detail=f"the document is at {head.revision}")
    if state is None:
        detail = "the documents read model does not know the document; rebuild it, then replay"
        return Judgement(verdict=Verdict.REFUSED, detail=detail)
    event = rerun_of(state, actor=actor, now=now, lane=lane, revision=letter.revision)
    return Judgement(verdict=Verdict.RERUN, detail="its revision is the newest", event=event, head=head)


def judge_event(letter: EventParked, event: FeedbackReceived | QueryExecuted | CanaryMeasured) -> Judgement:
    """Judge an event that its readers know by an id of its own."""
    return Judgement(verdict=Verdict.RESEND, detail=f"{letter.stage} reads it as if for the first time", event=event)


def judge_other(topic: Topic | None) -> Judgement:
    """Judge a letter that is neither a document's nor of a topic whose events are sent again."""
    detail = _NO_DOCUMENT if topic is None else _REFUSALS.get(topic, _NO_DOCUMENT)
    return Judgement(verdict=Verdict.REFUSED, detail=detail)


def read_original(letter: EventParked, topic: Topic, original: bytes | None) -> Resendable | Judgement:
    """Return the event that a letter's original bytes are now, or why they are none."""
    if original is None:
        return Judgement(verdict=Verdict.EXPIRED, detail=f"{letter.origin.topic} no longer holds it; discard it")
    try:
        return decode(original, RESENT[topic])
    except ContractError as error:
        return Judgement(verdict=Verdict.UNDECODABLE, detail=str(error))


def judge_submission(letter: EventParked, submission: DocumentSubmitted, head: Head | None) -> Judgement:
    """Judge a submission that admission could not read when it came.

    It is as old as its letter: what was admitted since is newer. What is admitted between this look and admission's
    own is caught there, because the submission now expects the revision that is seen here.
    """
    parked_ms = int(letter.parked_at.timestamp() * 1000)
    if head is not None and head.revision >= parked_ms:
        detail = f"a newer state was admitted after it was parked: the document is at {head.revision}"
        return Judgement(verdict=Verdict.SUPERSEDED, detail=detail)
    current = head.revision if head is not None and head.op is DocumentOp.UPSERTED else Revision(0)
    expected = current if submission.expected_revision is None else submission.expected_revision
    event = replace(submission, expected_revision=expected)
    detail = "nothing was admitted for its document since"
    return Judgement(verdict=Verdict.RESEND, detail=detail, event=event, head=head)
