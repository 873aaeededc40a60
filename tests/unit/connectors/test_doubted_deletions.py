"""What the runner makes of a listing that shows suspiciously little: its deletions are submitted, and wait."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace

import pytest

from connectors.doubts import MARK
from connectors.endings import Ending, SyncReport
from connectors.in_flight import MARK as IN_FLIGHT
from connectors.protocol import Cursor, Deleted, Listing, Observed, SourceChange
from connectors.runner import BATCH, SYNCED_MARK
from connectors.work import Work
from headwater.clients.kafka.records import Outgoing
from headwater.errors import FatalError
from schemas.codec import decode
from schemas.events.documents import DocumentSubmitted
from tests.support.running import FakeLog, runner_of
from tests.unit.connectors.test_runner import Feed, gone, page, synced

SHORT = Listing(name="", known=100, shown=10)
DOUBT = "the listing showed 10 documents, where 100 were known"


class Submissions(FakeLog):
    """A log that keeps what is submitted."""

    def __init__(self) -> None:
        super().__init__({SYNCED_MARK: b"yes"})
        self.sent: list[DocumentSubmitted] = []

    async def send_many(self, records: Iterable[Outgoing]) -> None:
        kept = list(records)
        await super().send_many(kept)
        self.sent += [decode(each.value or b"", DocumentSubmitted) for each in kept]


@dataclass(kw_only=True)
class Compared(Feed):
    """The same, whose `changes` may leave something out. Implements FullConnector."""

    def everything(self, since: Cursor) -> AsyncIterator[Observed]:
        return self.changes(since)


def missing(name: str, listing: Listing = SHORT) -> SourceChange:
    return replace(gone(name), what=Deleted(listing=listing))


async def test_the_mark_comes_first_then_the_deletions_each_with_its_doubt() -> None:
    log = Submissions()
    report = await synced(log, Feed(told=[page("new"), gone("told"), missing("lost")]))
    assert [each.doubt for each in log.sent] == [None, None, DOUBT]
    assert (report.ending, report.deleted, report.doubted) == (Ending.PARTIAL, 1, 1)
    assert DOUBT in report.message
    assert [each for each in log.events if IN_FLIGHT not in each] == [
        f"{MARK} saved 100",
        *["documents.submitted"] * 3,
        "lost gone",
        "new saved seen",
        "told gone",
        f"{MARK} gone",
    ]


async def test_nothing_is_marked_where_the_listing_is_believed() -> None:
    log = Submissions()
    report = await synced(log, Feed(told=[missing("lost", Listing(name="", known=100, shown=60))]))
    assert (report.ending, report.deleted, report.doubted) == (Ending.COMPLETED, 1, 0)
    assert [each.doubt for each in log.sent] == [None]
    assert not [each for each in log.events if MARK in each]


@pytest.mark.parametrize("work", [Work(full=True), Work(changes=True)])
async def test_what_is_left_of_deletions_that_were_cut_off_waits_too(work: Work) -> None:
    log = Submissions()
    names = [f"{number}" for number in range(90)]
    cut = Feed(told=[missing(name) for name in names[:BATCH]], error=FatalError("broke off"))
    await synced(log, cut, work)
    rest = Listing(name="", known=100 - BATCH, shown=10)
    await synced(log, Feed(told=[missing(name, rest) for name in names[BATCH:]]), work)
    assert [each.doubt for each in log.sent] == [DOUBT] * len(names)
    assert MARK not in log.parts


@pytest.mark.parametrize(("work", "stays"), [(Work(full=True), False), (Work(changes=True), True)])
async def test_only_a_reading_of_everything_ends_what_another_began(work: Work, *, stays: bool) -> None:
    log = Submissions()
    await synced(log, Compared(told=[missing("lost")], error=FatalError("broke off")))
    await synced(log, Compared(told=[page("new")]), work)
    assert (MARK in log.parts) == stays


async def test_who_follows_submits_them_with_their_doubt() -> None:
    @dataclass(kw_only=True)
    class Live(Feed):
        def live(self, since: Cursor) -> AsyncIterator[Observed]:
            return self.changes(since)

    log, live = Submissions(), Live(told=[missing("lost")])
    report: SyncReport = await runner_of(live, log).follow(live)
    assert [each.doubt for each in log.sent] == [DOUBT]
    assert report.doubted == 1
