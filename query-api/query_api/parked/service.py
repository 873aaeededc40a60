"""Dead letters: listed, replayed, discarded. What is done about one is an event, and so is who did it."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

from headwater.ports.read_model import Letter
from query_api.authorization import Action, Resource, authorize
from query_api.changes import ChangeLog, Origin, token_of
from query_api.documents.views import PositionView
from query_api.parked.following import Follower
from query_api.parked.judging import (
    RESENT,
    Judgement,
    Verdict,
    is_of_document,
    judge_document,
    judge_event,
    judge_other,
    judge_submission,
    read_original,
)
from query_api.parked.schemas import (
    Cause,
    DiscardBody,
    DiscardReport,
    Ending,
    LetterResult,
    ListQuery,
    ParkedLetter,
    ParkedList,
    Policy,
    ReplayBody,
    ReplayReport,
    Selection,
    Stop,
    position_view,
)
from query_api.problems import NotFoundError
from query_api.runtime import Runtime
from schemas.events import DocumentSubmitted, EventParked, EventResolved, LetterState, Position
from schemas.events.base import Lane, place_of
from schemas.ids import SYSTEM_TENANT, TenantId
from schemas.topics import Topic, topic_name

_REPLAY_SHARE = 0.8  # of a request's time: what is being done when it is over needs the rest
_FAILED_AGAIN = frozenset({Ending.FAILED, Ending.NOT_ADMITTED})
_DEALT_WITH = frozenset({LetterState.REPLAYED, LetterState.SUPERSEDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Selected:
    """A letter, and where to go on behind it."""

    letter: Letter
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterService:
    """Deals with dead letters for one caller."""

    runtime: Runtime
    origin: Origin
    changes: ChangeLog

    @classmethod
    def of(cls, runtime: Runtime, origin: Origin) -> "LetterService":
        """Build one for a request."""
        return cls(runtime=runtime, origin=origin, changes=ChangeLog(events=runtime.events, now=runtime.now))

    @property
    def tenant(self) -> TenantId:
        """Return the caller's tenant."""
        return self.origin.caller.tenant_id

    async def page(self, asked: ListQuery) -> ParkedList:
        """Return a page of letters, with the causes of all that match on the first."""
        self._authorize(Action.READ_PARKED, whose=asked.whose(self.tenant))
        wanted = asked.filter(self.tenant, state=asked.state)
        page = await self.runtime.documents.list_letters(wanted, limit=asked.limit, cursor=asked.cursor)
        causes = await self.runtime.documents.group_letters(wanted) if asked.cursor is None else ()
        return ParkedList(
            causes=[Cause.of(group) for group in causes],
            letters=[ParkedLetter.of(letter) for letter in page.letters],
            cursor=page.cursor,
        )

    async def get(self, origin: Position, *, all_tenants: bool) -> ParkedLetter:
        """Return one letter; NotFoundError where the caller has none there."""
        whose = None if all_tenants else self.tenant
        self._authorize(Action.READ_PARKED, whose=whose)
        return ParkedLetter.of(await self._letter(origin, whose=whose))

    async def replay(self, asked: ReplayBody) -> ReplayReport:
        """Run letters again, one after the other, within the request's time."""
        self._authorize(Action.RESOLVE_PARKED, whose=asked.whose(self.tenant))
        follower = Follower(runtime=self.runtime, deadline_s=self._deadline_s())
        results: list[LetterResult] = []
        cursor: str | None = None
        async for selected in self._selected(asked):
            if not follower.left_s:
                return ReplayReport(dry_run=asked.dry_run, results=results, stopped=Stop.TIME, cursor=cursor)
            result = await self._replayed(selected.letter, asked, follower)
            results.append(result)
            cursor = selected.cursor
            stopped = _stop_after(result)
            if stopped is not None:
                return ReplayReport(dry_run=asked.dry_run, results=results, stopped=stopped, cursor=cursor)
        return ReplayReport(dry_run=asked.dry_run, results=results, stopped=None, cursor=cursor)

    async def discard(self, asked: DiscardBody) -> DiscardReport:
        """Leave letters as they are, for a reason."""
        self._authorize(Action.RESOLVE_PARKED, whose=asked.whose(self.tenant))
        discarded: list[PositionView] = []
        cursor: str | None = None
        async for selected in self._selected(asked):
            cursor, letter = selected.cursor, selected.letter
            if letter.state is not LetterState.PARKED:
                continue
            if not asked.dry_run:
                await self._resolve(letter.parked, LetterState.DISCARDED, action="parked.discard", reason=asked.reason)
            discarded.append(position_view(letter.parked.origin))
        return DiscardReport(dry_run=asked.dry_run, discarded=discarded, cursor=cursor)

    async def _selected(self, asked: Selection) -> AsyncIterator[_Selected]:
        """Yield the letters that are named, or those that match, one by one: a replay may stop behind any of them."""
        if asked.origins:
            # All are looked up first: a wrong position refuses the whole request, before anything was done.
            named = [await self._letter(each.position(), whose=asked.whose(self.tenant)) for each in asked.origins]
            for letter in named:
                yield _Selected(letter=letter, cursor=None)
            return
        wanted = asked.filter(self.tenant, state=LetterState.PARKED)
        cursor = asked.cursor
        for _ in range(asked.limit):
            page = await self.runtime.documents.list_letters(wanted, limit=1, cursor=cursor)
            cursor = page.cursor
            for listed in page.letters:  # a listing is up to a second old: what was done in the meantime is seen by id
                current = await self.runtime.documents.get_letter(wanted.tenant, listed.parked.origin)
                if current is not None and current.state is LetterState.PARKED:
                    yield _Selected(letter=current, cursor=cursor)
            if cursor is None:
                return

    async def _replayed(self, letter: Letter, asked: ReplayBody, follower: Follower) -> LetterResult:
        parked = letter.parked
        judgement = await self._judged(letter, lane=asked.lane)
        sent = None if asked.dry_run else await self._carry_out(parked, judgement)
        if sent is None or not isinstance(judgement.event, DocumentSubmitted):
            return LetterResult.of(parked, judgement)
        positions = {sent.topic: {sent.partition: sent.offset}}
        ended: Ending | None = None
        if asked.policy is Policy.STOP:
            ended = await follower.ending(
                judgement.event.tenant_id,
                judgement.event.document_id,
                positions,
                before=judgement.head,
                generation=parked.generation,
            )
        return LetterResult.of(parked, judgement, token=token_of(positions), ended=ended)

    async def _judged(self, letter: Letter, *, lane: Lane) -> Judgement:
        parked = letter.parked
        if letter.state in _DEALT_WITH:
            return Judgement(verdict=Verdict.RESOLVED, detail=f"it was {letter.state} before")
        topic = self._topic(parked)
        if is_of_document(parked, topic):
            return await self._judged_document(parked, lane=lane)
        if topic is None or topic not in RESENT:
            return judge_other(topic)
        return await self._judged_original(parked, topic)

    async def _judged_original(self, parked: EventParked, topic: Topic) -> Judgement:
        found = read_original(parked, topic, await self.runtime.originals.read(parked.origin))
        if isinstance(found, Judgement):
            return found
        if parked.tenant_id not in {None, found.tenant_id}:
            return Judgement(verdict=Verdict.REFUSED, detail="its event names another tenant than the letter")
        if isinstance(found, DocumentSubmitted):
            return judge_submission(parked, found, self.runtime.heads.head(found.tenant_id, found.document_id))
        return judge_event(parked, found)

    async def _judged_document(self, parked: EventParked, *, lane: Lane) -> Judgement:
        tenant, document = parked.tenant_id, parked.document_id
        if tenant is None or document is None:
            return judge_other(None)
        view = await self.runtime.documents.get_document(tenant, document, generation=parked.generation)
        return judge_document(
            parked,
            self.runtime.heads.head(tenant, document),
            None if view is None else view.state,
            actor=self.origin.caller.principal,
            now=self.runtime.now(),
            lane=lane,
        )

    async def _carry_out(self, parked: EventParked, judgement: Judgement) -> Position | None:
        """Do what a judgement says; return where the event lies that was sent.

        The event comes first: were its letter resolved first, a crash between the two would lose it. As it is, the
        letter may stay parked, and its next replay ends as superseded.
        """
        if judgement.event is not None:
            sent = await self.runtime.events.send(judgement.event)
            await self._resolve(parked, LetterState.REPLAYED, action="parked.replay", sent=sent)
            return sent
        if judgement.verdict is Verdict.SUPERSEDED:
            await self._resolve(parked, LetterState.SUPERSEDED, action="parked.replay", reason=judgement.detail)
        return None

    async def _resolve(
        self,
        parked: EventParked,
        state: LetterState,
        *,
        action: str,
        reason: str | None = None,
        sent: Position | None = None,
    ) -> None:
        now = self.runtime.now()
        tenant = parked.tenant_id or SYSTEM_TENANT
        event = EventResolved(
            event_id=uuid4(),
            tenant_id=tenant,
            occurred_at=now,
            observed_at=now,
            letter=parked,
            state=state,
            actor=self.origin.caller.principal,
            reason=reason,
            sent=sent,
        )
        resource = Resource(tenant_id=tenant, kind="parked", id=place_of(parked.origin))
        await self.changes.append(
            event, action=action, resource=resource, origin=self.origin, outcome=state.value, reason=reason
        )

    async def _letter(self, origin: Position, *, whose: TenantId | None) -> Letter:
        letter = await self.runtime.documents.get_letter(whose, origin)
        if letter is None:
            raise NotFoundError(f"parked/{place_of(origin)}: not found")
        return letter

    def _topic(self, parked: EventParked) -> Topic | None:
        prefix = self.runtime.settings.kafka.topic_prefix
        names = {topic_name(topic, generation=parked.generation, prefix=prefix): topic for topic in Topic}
        return names.get(parked.origin.topic)

    def _authorize(self, action: Action, *, whose: TenantId | None) -> None:
        authorize(self.origin.caller, action, Resource(tenant_id=self.tenant, kind="parked"))
        if whose != self.tenant:
            authorize(self.origin.caller, Action.OPERATE_PARKED, Resource(tenant_id=self.tenant, kind="parked"))

    def _deadline_s(self) -> float:
        return time.monotonic() + self.runtime.settings.api.request_timeout_s * _REPLAY_SHARE


def _stop_after(result: LetterResult) -> Stop | None:
    if result.ended in _FAILED_AGAIN:
        return Stop.FAILED_AGAIN
    return Stop.TIME if result.ended is Ending.PENDING else None
