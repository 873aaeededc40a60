"""Requests coalesce: never two runs of a source at once, none lost, exactly one more for what came too late."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.work import MAX_ITEMS, Work, work_of
from connectors.worker.queue import SourceQueue, to_commit
from schemas.events.syncs import SyncMode, SyncRequested
from schemas.ids import SourceId, TenantId

NOW = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)


def request(mode: SyncMode, *items: str, cancels: bool = False) -> SyncRequested:
    return SyncRequested(
        event_id=UUID(int=1),
        tenant_id=TenantId("acme"),
        occurred_at=NOW,
        observed_at=NOW,
        source=SourceId("wiki"),
        mode=mode,
        actor=None,
        items=items,
        cancels=cancels,
    )


# Any two of them are more than are kept.
_HALVES = {some: [f"{some}{n}" for n in range(MAX_ITEMS // 2 + 1)] for some in ("ab", "bc", "cd")}
WISHES = st.one_of(
    st.sampled_from([SyncMode.FULL, SyncMode.INCREMENTAL, SyncMode.PERMISSIONS]).map(request),
    st.sets(st.sampled_from("abcd"), min_size=1).map(lambda items: request(SyncMode.ITEMS, *sorted(items))),
    st.sampled_from(["ab", "bc", "cd"]).map(lambda some: request(SyncMode.ITEMS, *_HALVES[some])),
)
WORKS = st.lists(WISHES, min_size=1, max_size=4).map(lambda wishes: _joined([work_of(wish) for wish in wishes]))
CANCEL = request(SyncMode.INCREMENTAL, cancels=True)
STEPS = st.lists(st.one_of(WISHES, st.just(CANCEL), st.sampled_from(["begin", "end", "crash", "lose"])), max_size=40)


def _joined(works: list[Work]) -> Work:
    joined = works[0]
    for work in works[1:]:
        joined |= work
    return joined


@given(WORKS, WORKS, WORKS)
def test_joining_is_the_least_work_that_does_both(one: Work, two: Work, three: Work) -> None:
    joined = one | two
    assert joined == two | one
    assert (one | two) | three == one | (two | three)
    assert one | one == one
    assert joined.covers(one)
    assert joined.covers(two)
    if three.covers(one) and three.covers(two):
        assert three.covers(joined)


@pytest.mark.parametrize(
    ("modes", "mode"),
    [
        ((SyncMode.ITEMS, SyncMode.INCREMENTAL), SyncMode.INCREMENTAL),
        ((SyncMode.PERMISSIONS, SyncMode.FULL), SyncMode.FULL),
        ((SyncMode.ITEMS, SyncMode.PERMISSIONS), SyncMode.PERMISSIONS),
    ],
)
def test_the_widest_mode_is_told(modes: tuple[SyncMode, ...], mode: SyncMode) -> None:
    assert _joined([work_of(request(each, "a")) for each in modes]).mode is mode


def test_permissions_are_not_forgotten_beside_what_changed() -> None:
    both = work_of(request(SyncMode.PERMISSIONS)) | work_of(request(SyncMode.INCREMENTAL))
    assert (both.changes, both.permissions) == (True, True)


def test_what_was_named_is_not_forgotten_beside_what_changed() -> None:
    both = work_of(request(SyncMode.INCREMENTAL)) | work_of(request(SyncMode.ITEMS, "deleted"))
    assert (both.changes, both.items) == (True, frozenset({"deleted"}))
    assert not work_of(request(SyncMode.INCREMENTAL)).covers(work_of(request(SyncMode.ITEMS, "deleted")))


def test_too_many_items_become_a_look_at_everything() -> None:
    few = work_of(request(SyncMode.ITEMS, *(f"{n}" for n in range(MAX_ITEMS))))
    assert few.mode is SyncMode.ITEMS
    many = few | work_of(request(SyncMode.ITEMS, "one more"))
    assert many == Work(full=True)
    assert many | work_of(request(SyncMode.ITEMS, "and another")) == many  # whatever the order of joining


@dataclass
class World:
    """The log of one source's requests, a worker that reads it, and what became of each request."""

    log: list[SyncRequested] = field(default_factory=list)
    queue: SourceQueue = field(default_factory=SourceQueue)
    recorded: int = -1  # what the last recorded ending says
    committed: int = 0
    looked_after: dict[int, Work] = field(default_factory=dict)  # request -> what ran from its arrival on
    cancelled_up_to: int = -1

    def ask(self, wish: SyncRequested) -> None:
        self.log.append(wish)
        self.queue = self.queue.take(wish, len(self.log) - 1)
        if wish.cancels:
            self.cancelled_up_to = len(self.log) - 1

    def begin(self) -> None:
        if self.queue.may_begin:
            self.queue = self.queue.begin()

    def end(self) -> None:
        run = self.queue.running
        if run is None:
            return
        if not run.cancelled:
            for offset in range(run.last + 1):
                self.looked_after[offset] = self.looked_after.get(offset, Work()) | run.work
        self.queue = self.queue.end()
        self.recorded = self.queue.settled
        self.committed = to_commit([self.queue], len(self.log))

    def lose(self) -> None:
        """The run ended and nobody could record it."""
        if self.queue.running is not None:
            self.queue = self.queue.again()

    def crash(self) -> None:
        """Another worker knows the recorded ending and reads on from the committed position."""
        self.queue = SourceQueue(settled=self.recorded)
        for offset in range(self.committed, len(self.log)):
            self.queue = self.queue.take(self.log[offset], offset)


@given(STEPS)
def test_every_request_is_looked_after_or_cancelled_and_none_twice(steps: list[SyncRequested | str]) -> None:
    world = World()
    for step in steps:
        if isinstance(step, SyncRequested):
            world.ask(step)
        else:
            getattr(world, step)()
    for _ in range(2):  # what runs, and at the most one more
        world.begin()
        world.end()
    assert world.queue == SourceQueue(settled=len(world.log) - 1)
    assert world.committed == (len(world.log) if world.recorded >= 0 else 0)
    for offset, wish in enumerate(world.log):
        if offset > world.cancelled_up_to:
            assert world.looked_after[offset].covers(work_of(wish))


@given(st.lists(WISHES, min_size=1, max_size=10), st.lists(WISHES, min_size=1, max_size=10))
def test_what_arrives_while_one_runs_is_one_more_run(before: list[SyncRequested], after: list[SyncRequested]) -> None:
    queue = SourceQueue()
    for offset, wish in enumerate(before):
        queue = queue.take(wish, offset)
    queue = queue.begin()
    for offset, wish in enumerate(after, start=len(before)):
        queue = queue.take(wish, offset)
    assert queue.running is not None
    assert queue.running.last == len(before) - 1
    assert not queue.may_begin
    assert queue.end().settled == len(before) - 1
    second = queue.end().begin()
    assert second.running is not None
    assert second.running.work == _joined([work_of(wish) for wish in after])
    assert second.end().unsettled is None


def test_a_request_that_is_read_again_changes_nothing() -> None:
    queue = SourceQueue().take(request(SyncMode.FULL), 4).begin().take(request(SyncMode.INCREMENTAL), 7)
    assert queue.take(request(SyncMode.FULL), 4) == queue
    assert queue.take(request(SyncMode.INCREMENTAL), 7) == queue
    assert SourceQueue(settled=7).take(request(SyncMode.FULL), 7) == SourceQueue(settled=7)


def test_a_cancelled_run_settles_what_waited_with_it() -> None:
    queue = SourceQueue().take(request(SyncMode.FULL), 0).begin().take(request(SyncMode.FULL), 1).take(CANCEL, 2)
    assert queue.running is not None
    assert (queue.running.cancelled, queue.waiting, queue.end().settled) == (True, None, 2)


@pytest.mark.parametrize(
    ("cancelled", "modes"), [(False, (SyncMode.ITEMS, SyncMode.PERMISSIONS)), (True, (SyncMode.PERMISSIONS,))]
)
def test_a_run_that_is_lost_is_made_good_with_what_waits(cancelled: bool, modes: tuple[SyncMode, ...]) -> None:
    queue = SourceQueue().take(request(SyncMode.ITEMS, "a"), 3).begin()
    queue = (queue.take(CANCEL, 4) if cancelled else queue).take(request(SyncMode.PERMISSIONS), 9).again()
    assert queue.running is None
    assert queue.waiting is not None
    assert queue.waiting.work == _joined([work_of(request(mode, "a")) for mode in modes])
    assert (queue.waiting.first, queue.waiting.last, to_commit([queue], 10)) == (3, 9, 3)


def test_a_partition_is_committed_up_to_its_oldest_open_request() -> None:
    one = SourceQueue().take(request(SyncMode.FULL), 3).begin().take(request(SyncMode.FULL), 9)
    other = SourceQueue().take(request(SyncMode.FULL), 5)
    assert to_commit([one, other], 10) == 3
    assert to_commit([one.end(), other], 10) == 5
    assert to_commit([one.end(), SourceQueue(settled=5)], 10) == 9
    assert to_commit([], 10) == 10
