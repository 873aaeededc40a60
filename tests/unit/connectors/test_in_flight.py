"""What a killed sync had begun to submit is looked at again, whatever the cursor says of it."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from connectors.endings import Ending
from connectors.in_flight import MARK, InFlight, Sent
from connectors.protocol import Cursor, Observed, Patched, SourceChange, Unnoted
from connectors.runner import SYNCED_MARK
from connectors.work import CHANGES, Work
from headwater.errors import FatalError
from schemas.events.documents import DocumentPatch
from tests.support.running import FakeLog, runner_of
from tests.unit.connectors.test_runner import TEAM, Feed, gone, page


@dataclass(kw_only=True)
class Remembering(Feed):
    """The same, which says what is unknown, and what was looked at. Implements ItemConnector."""

    unnoted: list[Unnoted] = field(default_factory=list)
    looked_at: list[set[str]] = field(default_factory=list)

    def unknown(self, unnoted: Unnoted, _since: Cursor) -> Mapping[str, bytes | None]:
        self.unnoted.append(unnoted)
        return dict.fromkeys(unnoted.external_ids, b"")

    async def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[Observed]:
        self.looked_at.append(set(external_ids))
        for each in sorted(external_ids):
            if since.get(each) == b"":
                yield gone(each)


@dataclass(kw_only=True)
class Incremental(Remembering):
    """The same, whose `changes` do not meet everything. Implements FullConnector."""

    def everything(self, since: Cursor) -> AsyncIterator[Observed]:
        return self.changes(since)


def patched(name: str) -> SourceChange:
    return replace(page(name), what=Patched(patch=DocumentPatch(title="Another")))


def killed(*told: Sent) -> FakeLog:
    """Return the log of a source that was synced once, and of which a sync was killed as it sent these."""
    return FakeLog({SYNCED_MARK: b"yes", MARK: InFlight({}).begun(told)[MARK] or b""})


async def test_what_an_incremental_pass_may_not_meet_is_looked_at_by_name_and_then_forgotten() -> None:
    log, source = killed(page("new"), patched("old"), TEAM), Incremental(told=[])
    report = await runner_of(source, log).sync()
    unnoted = Unnoted(documents=frozenset({"new"}), patched=frozenset({"old"}), groups=frozenset({"team"}))
    assert (source.unnoted, source.looked_at) == ([unnoted], [{"new", "old"}])
    assert (report.ending, report.deleted) == (Ending.COMPLETED, 2)
    assert log.parts == {SYNCED_MARK: b"yes"}


async def test_a_comparison_of_everything_needs_no_looks() -> None:
    log, source = killed(page("new")), Remembering(told=[gone("new")])
    await runner_of(source, log).sync()
    assert (source.looked_at, source.since) == ([], {"new": b""})
    assert log.parts == {SYNCED_MARK: b"yes"}


@pytest.mark.parametrize("work", [CHANGES, Work(full=True), Work(items=frozenset({"other"}))])
async def test_what_was_left_stays_until_a_sync_has_ended(work: Work) -> None:
    log = killed(page("new"))
    broken = Incremental(told=[page("other")], error=FatalError("broke off"))
    if not work.items:
        assert (await runner_of(broken, log).sync(work)).ending is Ending.SOURCE_REFUSED
        assert InFlight(log.parts).left == Unnoted(documents=frozenset({"new"}))
    source = Incremental(told=[])
    await runner_of(source, log).sync(work)
    assert len(source.unnoted) == 1
    assert MARK not in log.parts


async def test_what_is_submitted_meanwhile_is_not_left_any_more() -> None:
    log = killed(page("new"), page("more"))
    await runner_of(Incremental(told=[page("new")], error=FatalError("broke off")), log).sync()
    assert InFlight(log.parts).left == Unnoted(documents=frozenset({"more"}))


def kills(*batches: list[Sent]) -> Iterator[Unnoted]:
    """Yield what is left after each of these was begun, and never noted."""
    parts: dict[str, bytes] = {}
    for batch in batches:
        parts[MARK] = InFlight(parts).begun(batch)[MARK] or b""
        yield InFlight(parts).left


def test_a_patch_of_what_nobody_knows_is_no_patch() -> None:
    *_, left = kills([patched("a"), patched("b"), patched('ü "c"\n')], [page("a"), patched("d")], [patched("a")])
    assert left == Unnoted(documents=frozenset({"a"}), patched=frozenset({"b", "d", 'ü "c"\n'}))


def test_of_a_patch_and_a_whole_state_at_once_the_whole_counts() -> None:
    assert list(kills([patched("a"), page("a")])) == [Unnoted(documents=frozenset({"a"}))]


def test_what_many_kills_leave_fits_into_one_record() -> None:
    name = "department/" * 90
    batches: list[list[Sent]] = [[page(f"{name}{kill}-{number}.md") for number in range(64)] for kill in range(20)]
    *_, left = kills(*batches)
    assert len(left.documents) == 20 * 64
    assert len(InFlight({}).begun([each for batch in batches for each in batch])[MARK] or b"") < 256 * 1024


def test_where_nothing_was_left_nothing_is_saved_at_the_end() -> None:
    flight = InFlight({})
    assert flight.begun([page("a")]).keys() == flight.noted([page("a")]).keys() == {MARK}
    assert flight.ended() == {}
