"""Content, submission, cursor: in that order, and nothing of a later step where an earlier one did not hold."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from connectors.endings import Ending, SyncReport
from connectors.in_flight import MARK as IN_FLIGHT
from connectors.outstanding import MARK
from connectors.protocol import (
    Cursor,
    CursorMoved,
    Deleted,
    GroupMirrored,
    ItemFailed,
    Left,
    Observed,
    SourceChange,
    Upserted,
)
from connectors.runner import BATCH, CREATED_MARK, FORGOTTEN_AT_ONCE, SYNCED_MARK
from connectors.work import Work
from connectors.worker.ports import LostError
from headwater.clients.egress.errors import MissingError
from headwater.errors import FatalError, HeadwaterError, SourceGoneError, UnauthorisedError
from schemas.events.directory import Group
from schemas.ids import Revision
from tests.support.heads import NOON, state
from tests.support.running import FakeLog, Forgetful, runner_of


@dataclass(kw_only=True)
class Feed(Forgetful):
    """A source of what a test says, which may break off afterwards. Implements ItemConnector."""

    told: Sequence[Observed]
    error: HeadwaterError | None = None
    wrong: HeadwaterError | None = None
    since: Cursor | None = None

    async def check(self) -> None:
        if self.wrong is not None:
            raise self.wrong

    async def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        self.since = since
        for each in self.told:
            yield each
        if self.error is not None:
            raise self.error

    def items(self, external_ids: Any, since: Cursor) -> AsyncIterator[Observed]:
        return self.changes(since)


def page(name: str, *, error: HeadwaterError | None = None) -> SourceChange:
    """A page whose content fails where an error is given."""

    async def content() -> AsyncIterator[bytes]:
        yield name.encode()
        if error is not None:
            raise error

    return SourceChange(
        external_id=name,
        what=Upserted(state=state(content=None), content=content),
        source_version=None,
        occurred_at=NOON,
        cursor={name: b"seen"},
    )


def gone(name: str) -> SourceChange:
    return SourceChange(external_id=name, what=Deleted(), source_version=None, occurred_at=NOON, cursor={name: None})


def lost() -> None:
    raise LostError("another worker")


TEAM = GroupMirrored(group_id="team", group=Group(name="Team", members=()), cursor={"team": b"seen"})


async def synced(log: FakeLog, feed: Feed, work: Work | None = None, **said: Any) -> SyncReport:
    runner = runner_of(feed, log, **said)
    return await (runner.sync() if work is None else runner.sync(work))


async def test_groups_then_documents_then_a_place_each_before_its_part_of_the_cursor() -> None:
    log = FakeLog({SYNCED_MARK: b"yes", "old": b"seen"})
    told: list[Observed] = [page("new"), TEAM, gone("old"), CursorMoved(cursor={"place": b"end"})]
    assert (await synced(log, Feed(told=told))).ending is Ending.COMPLETED
    assert log.events == [
        '!in-flight saved {"documents":[],"patched":[],"groups":["team"]}',
        "directory.submitted",
        "!in-flight gone",
        "team saved seen",
        '!in-flight saved {"documents":["new","old"],"patched":[],"groups":[]}',
        "documents.submitted",
        "documents.submitted",
        "!in-flight gone",
        "new saved seen",
        "old gone",
        "place saved end",
    ]


async def test_what_is_left_is_told_also_where_nothing_has_changed() -> None:
    told: list[Left | None] = []

    async def tell(report: SyncReport) -> None:
        told.append(report.left)

    far, near = Left(items=9, of=12), Left(items=2, of=12)
    feeds: list[list[Observed]] = [[far], [far, page("new")], [page("new"), near], [replace(page("new"), left=near)]]
    log = FakeLog()
    for feed in feeds:
        await synced(log, Feed(told=feed), tell=tell)
    assert told == [far, None, near, near]
    assert log.parts.keys() == {SYNCED_MARK, "new"}


@pytest.mark.parametrize(("refused", "left"), [("directory", {IN_FLIGHT}), ("documents", {"team", IN_FLIGHT})])
async def test_what_the_broker_does_not_hold_is_not_in_the_cursor(refused: str, left: set[str]) -> None:
    log = FakeLog(refuses=lambda topic: topic.startswith(refused))
    report = await synced(log, Feed(told=[TEAM, page("new"), CursorMoved(cursor={"place": b"end"})]))
    assert (report.ending, set(log.parts)) == (Ending.SOURCE_REFUSED, left)


@pytest.mark.parametrize("told", [page("new"), gone("old"), TEAM, CursorMoved(cursor={"place": b"end"})])
async def test_who_may_have_lost_the_source_sends_and_saves_nothing(told: Observed) -> None:
    log = FakeLog()
    with pytest.raises(LostError):
        await synced(log, Feed(told=[told]), may_write=lost)
    assert log.events == []


async def test_who_lost_the_source_meanwhile_saves_no_place() -> None:
    held = [True, True]  # for what is in flight, and to send it

    def check() -> None:
        if not held:
            raise LostError("another worker")
        held.pop()

    log = FakeLog()
    with pytest.raises(LostError):
        await synced(log, Feed(told=[page("new"), CursorMoved(cursor={"place": b"end"})]), may_write=check)
    assert log.parts.keys() == {"new"}


async def test_who_may_have_lost_the_source_forgets_no_earlier_life() -> None:
    log = FakeLog({CREATED_MARK: b"9", "new": b"seen"})  # of the worker that holds it
    with pytest.raises(LostError):
        await synced(log, Feed(told=[]), created=Revision(7), may_write=lost)
    assert log.events == []


async def test_an_item_that_cannot_be_read_is_in_the_cursor_as_failed_only_and_stops_no_other() -> None:
    log = FakeLog()
    told: list[Observed] = [
        page("a"),
        page("b", error=MissingError("b is gone")),
        page("c"),
        ItemFailed(external_id="d", error=MissingError("d")),
    ]
    report = await synced(log, Feed(told=told))
    assert (report.ending, report.failures, report.upserted) == (Ending.PARTIAL, 2, 2)
    assert log.parts.keys() == {"a", "c", SYNCED_MARK, f"{MARK}b", f"{MARK}d"}


@pytest.mark.parametrize("count", [1, BATCH, BATCH + 1])
async def test_what_was_told_before_a_source_broke_off_is_submitted_and_no_pass_is_complete(count: int) -> None:
    log = FakeLog()
    report = await synced(log, Feed(told=[page(f"{n}") for n in range(count)], error=FatalError("broke off")))
    assert (report.ending, report.upserted) == (Ending.SOURCE_REFUSED, count)
    assert log.parts.keys() == {f"{n}" for n in range(count)}


async def test_nothing_is_read_where_the_check_fails() -> None:
    log, feed = FakeLog({"old": b"seen"}), Feed(told=[gone("old")], wrong=SourceGoneError("settings.url: nothing"))
    report = await synced(log, feed)
    assert (report.ending, feed.since, log.events) == (Ending.SOURCE_GONE, None, [])


@dataclass(kw_only=True)
class Readied(Feed):
    """Implements ReadyConnector: its `check` asks for more than it needs to begin."""

    unready: HeadwaterError | None = None

    async def ready(self) -> None:
        if self.unready is not None:
            raise self.unready


async def test_a_sync_begins_where_it_is_ready_though_a_test_finds_more() -> None:
    told, wrong = [page("a")], UnauthorisedError("lacks the right to read releases")
    report = await synced(FakeLog(), Readied(told=told, wrong=wrong))
    assert (report.ending, report.upserted) == (Ending.COMPLETED, 1)
    report = await synced(FakeLog(), Readied(told=told, unready=wrong))
    assert (report.ending, report.upserted) == (Ending.UNAUTHORISED, 0)


async def test_looks_at_single_items_are_no_first_pass() -> None:
    log = FakeLog()
    await synced(log, Feed(told=[page("a")]), Work(items=frozenset({"a"})))
    assert log.parts.keys() == {"a"}


async def test_an_earlier_life_is_forgotten_before_the_new_one_is_marked() -> None:
    log = FakeLog({CREATED_MARK: b"7", SYNCED_MARK: b"yes", "old": b"seen"})
    feed = Feed(told=[])
    await synced(log, feed, created=Revision(9))
    assert feed.since == {}
    assert log.events[:4] == [f"{CREATED_MARK} gone", f"{SYNCED_MARK} gone", "old gone", f"{CREATED_MARK} saved 9"]


async def test_an_earlier_life_is_forgotten_whole() -> None:
    parts = {f"{number}": b"seen" for number in range(FORGOTTEN_AT_ONCE + 1)}
    log, feed = FakeLog({CREATED_MARK: b"7", **parts}), Feed(told=[])
    await synced(log, feed, created=Revision(9))
    assert log.parts.keys() == {CREATED_MARK, SYNCED_MARK}


async def test_a_connector_sees_its_own_parts_alone() -> None:
    feed = Feed(told=[])
    await synced(FakeLog({CREATED_MARK: b"9", SYNCED_MARK: b"yes", "old": b"seen"}), feed, created=Revision(9))
    assert feed.since == {"old": b"seen"}
