"""Gathers what expired unread where a document's submissions lie. Which documents they were of, nobody has read."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from headwater.clients.kafka.config import topic_of
from headwater.ports.backlogs import Backlog
from headwater.ports.heads import Head
from headwater.ports.read_model import Letter, LetterFilter
from query_api.explain.evidence import ADMIT, Trail
from query_api.explain.verdicts import ExpiredUnread
from query_api.runtime import Runtime
from schemas.events.base import Lane
from schemas.events.parked import SUBMISSIONS_EXPIRED, LetterState
from schemas.ids import TenantId
from schemas.topics import Topic

_LANES: Final = {Topic.DOCUMENTS_SUBMITTED: Lane.LIVE, Topic.DOCUMENTS_BACKFILL: Lane.BACKFILL}
# Newest letters that are looked through: at most two a partition and outage.
_LETTERS: Final = 500


async def expired_unread(runtime: Runtime, trail: Trail, *, tenant: TenantId) -> tuple[ExpiredUnread, ...]:
    """Return what expired unread in the document's partition since its newest revision was admitted, newest first.

    Of a document that is there, only what nobody has dealt with: a letter is discarded once everything was submitted
    again. One that is not there may be what was forgotten then.
    """
    page = await runtime.documents.list_letters(
        LetterFilter(tenant=None, stage=ADMIT, error=SUBMISSIONS_EXPIRED, parked_from=_admitted(trail.head)),
        limit=_LETTERS,
    )
    letters = [each for each in page.letters if trail.head is None or each.state is not LetterState.DISCARDED]
    places = [backlog for backlog in trail.backlogs if backlog.stage == ADMIT]
    if letters and not places:  # the log is asked only where there is something to place
        places = list(
            await runtime.backlogs.of_document(tenant, trail.document, stages=(ADMIT,), generation=trail.generation)
        )
    return (*_not_told_yet(places), *_told(runtime, letters, places))


def _told(runtime: Runtime, letters: Sequence[Letter], places: Sequence[Backlog]) -> list[ExpiredUnread]:
    own = {(topic_of(runtime.settings, each.topic), each.partition): _LANES[each.topic] for each in places}
    return [
        ExpiredUnread(lane=lane, partition=origin.partition, found_at=letter.parked.parked_at)
        for letter in letters
        if (lane := own.get(((origin := letter.parked.origin).topic, origin.partition))) is not None
    ]


def _not_told_yet(places: Sequence[Backlog]) -> list[ExpiredUnread]:
    return [
        ExpiredUnread(lane=_LANES[each.topic], partition=each.partition, found_at=None)
        for each in places
        if each.expired
    ]


def _admitted(head: Head | None) -> datetime | None:
    """Return when the newest revision was admitted: revisions are milliseconds of admission's clock."""
    return None if head is None else datetime.fromtimestamp(head.revision / 1_000, tz=UTC)
