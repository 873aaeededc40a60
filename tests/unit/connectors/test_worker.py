"""A connector worker: one sync a source, requests settled by recorded endings, nothing written by who lost a source."""

import json
from datetime import timedelta

import pytest

from connectors.endings import Ending, SyncReport
from connectors.worker.ports import LostError
from headwater.settings import ConnectorSettings, Settings
from schemas.events.directory import Source
from schemas.events.syncs import SyncMode
from tests.support.syncing import BLOG, DONE, WIKI, Office, office, source
from tests.support.telemetry import watching


async def test_requests_that_arrive_while_one_runs_are_one_more_run_of_the_widest() -> None:
    desk = office()
    desk.log.request(WIKI)
    await desk.until(lambda: desk.jobs.syncs)
    desk.log.request(WIKI, SyncMode.ITEMS, "a.md")
    desk.log.request(WIKI, SyncMode.FULL)
    desk.log.request(WIKI, SyncMode.PERMISSIONS)
    await desk.ticks()
    assert desk.jobs.at_work == {WIKI: 1}

    desk.give(DONE, DONE, DONE)
    await desk.until(lambda: len(desk.log.endings()) == 2)
    await desk.ticks()
    assert [work.mode for _, work in desk.jobs.syncs] == [SyncMode.INCREMENTAL, SyncMode.FULL]
    assert desk.log.committed == len(desk.log.requests)


async def test_nothing_is_acknowledged_before_its_ending_is_recorded() -> None:
    desk = office(WIKI, BLOG)
    desk.log.request(WIKI)
    desk.log.request(BLOG)
    await desk.until(lambda: len(desk.jobs.syncs) == 2)
    await desk.ticks()
    assert desk.log.committed == 0
    running = desk.log.progress[-1]
    assert (running.ending, running.mode) == (None, SyncMode.INCREMENTAL)

    desk.give(DONE)
    await desk.until(lambda: desk.log.endings(WIKI) + desk.log.endings(BLOG))
    await desk.ticks()
    assert desk.log.committed in {0, 1}  # up to the other's request
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 2)


async def test_a_stopped_worker_says_so_and_another_goes_on() -> None:
    first = office()
    first.log.request(WIKI, SyncMode.FULL)
    await first.until(lambda: first.jobs.syncs)
    await first.stop()
    assert (first.log.endings(), first.log.committed) == ([Ending.SUSPENDED], 0)

    second = Office(log=first.log, sources=first.sources, clock=first.clock)
    second.give(DONE)
    await second.until(lambda: first.log.committed == 1)
    assert [work.mode for _, work in second.jobs.syncs] == [SyncMode.FULL]
    assert first.log.endings() == [Ending.SUSPENDED, Ending.COMPLETED]


async def test_a_zombie_writes_no_cursor_and_no_ending() -> None:
    zombie = office()
    zombie.log.request(WIKI)
    await zombie.until(lambda: zombie.jobs.syncs)

    heir = Office(log=zombie.log, sources=zombie.sources, clock=zombie.clock)
    heir.give(SyncReport(ending=Ending.COMPLETED, upserted=7))
    await heir.until(lambda: zombie.log.committed == 1)

    # It wakes before it hears that its partition is gone: only the fence stands in its way.
    zombie.give(SyncReport(ending=Ending.COMPLETED, upserted=3))
    await zombie.rest()
    assert zombie.log.cursors == {WIKI: ["7"]}
    zombie.requests.owns = False
    await zombie.ticks()
    assert zombie.log.endings() == [Ending.COMPLETED]
    assert zombie.log.progress[-1].upserted == 7


async def test_a_worker_that_has_not_heard_of_its_group_for_long_sends_nothing() -> None:
    desk = office()
    desk.log.request(WIKI)
    await desk.until(lambda: desk.jobs.syncs)
    desk.clock.advance(Settings().kafka.session_timeout_s)
    desk.give(DONE)
    await desk.rest()
    assert (desk.log.cursors, desk.log.endings()) == ({}, [])

    desk.give(DONE)  # it is a member still: the same request runs again, after a rest
    await desk.ticks()
    desk.clock.advance(6)
    await desk.until(lambda: desk.log.committed == 1)
    assert len(desk.jobs.syncs) == 2


async def test_what_was_settled_before_a_crash_is_not_run_again() -> None:
    first = office(WIKI, BLOG)
    first.log.request(BLOG)  # keeps the position back
    await first.until(lambda: first.jobs.syncs)
    first.log.request(WIKI)
    await first.until(lambda: len(first.jobs.syncs) == 2)
    first.give(DONE)  # the blog's: turns are taken in order
    await first.until(lambda: first.log.endings(BLOG))
    first.log.committed = 0  # killed before it could commit

    second = Office(log=first.log, sources=first.sources, clock=first.clock)
    second.give(DONE)
    await second.until(lambda: first.log.endings(WIKI))
    await second.ticks()
    assert [key for key, _ in second.jobs.syncs] == [WIKI]
    first.requests.owns = False
    await first.ticks()


async def test_a_lost_partition_ends_its_syncs_at_once() -> None:
    desk = office()
    desk.log.request(WIKI)
    await desk.until(lambda: desk.jobs.syncs)
    desk.requests.owns = False
    await desk.ticks()
    assert (desk.jobs.at_work, desk.log.endings()) == ({WIKI: 0}, [])


@pytest.mark.parametrize(
    ("happens", "ending"),
    [
        (lambda desk: desk.sources.update({WIKI: source(paused=True)}), Ending.PAUSED),
        (lambda desk: desk.sources.clear(), Ending.CANCELLED),
        (lambda desk: desk.log.request(WIKI, cancels=True), Ending.CANCELLED),
    ],
)
async def test_what_the_directory_or_a_person_says_ends_what_runs(happens: object, ending: Ending) -> None:
    assert callable(happens)
    desk = office()
    desk.log.request(WIKI)
    await desk.until(lambda: desk.jobs.syncs)
    happens(desk)
    await desk.until(lambda: desk.log.committed == len(desk.log.requests))
    assert (desk.log.endings(), len(desk.jobs.syncs)) == ([ending], 1)


async def test_a_paused_source_is_not_begun_with() -> None:
    desk = office(wiki=source(paused=True))
    desk.log.request(WIKI)
    await desk.until(lambda: desk.log.committed == 1)
    assert (desk.log.endings(), desk.jobs.syncs) == ([Ending.PAUSED], [])


async def test_a_request_may_come_before_its_source() -> None:
    desk = office(BLOG)
    desk.log.request(WIKI)
    await desk.ticks()
    assert desk.log.progress == []
    desk.sources[WIKI] = source()
    desk.give(DONE)
    await desk.until(lambda: desk.log.endings() == [Ending.COMPLETED])


async def test_a_source_that_nobody_knows_is_said_to_be_unknown() -> None:
    desk = office(BLOG)
    desk.log.request(WIKI)
    desk.clock.advance(11)
    await desk.until(lambda: desk.log.committed == 1)
    assert desk.log.endings() == [Ending.CANCELLED]
    assert "no such source" in desk.log.progress[-1].message


async def test_a_defect_of_one_connector_does_not_end_the_worker() -> None:
    desk = office(WIKI, BLOG)
    desk.log.request(WIKI)
    desk.give(KeyError("title"))
    await desk.until(lambda: desk.log.endings() == [Ending.FAILED])
    assert "KeyError" in desk.log.progress[-1].message
    desk.log.request(BLOG)
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 2)


async def test_what_a_sync_logs_says_whose_it_is() -> None:
    with watching() as watched:
        desk = office(WIKI, BLOG)
        desk.give(DONE)
        desk.log.request(BLOG)
        await desk.until(lambda: desk.log.committed == 1)
    lines = [json.loads(line) for line in watched.written.getvalue().splitlines()]
    told = {line["event"]: (line.get("tenant_id"), line.get("source")) for line in lines}
    assert (told["sync_begun"], told["sync_ended"]) == (BLOG, BLOG)


async def test_no_more_than_the_allowed_syncs_run_at_once() -> None:
    settings = Settings(connectors=ConnectorSettings(parallel_syncs=1))
    first = office(WIKI, BLOG)
    desk = Office(log=first.log, sources=first.sources, clock=first.clock, settings=settings)
    desk.log.request(WIKI)
    desk.clock.advance(1)
    desk.log.request(BLOG)
    await desk.until(lambda: desk.jobs.syncs)
    await desk.ticks()
    assert [key for key, _ in desk.jobs.syncs] == [WIKI]
    desk.give(DONE, DONE)
    await desk.until(lambda: desk.log.committed == 2)
    assert desk.jobs.most_at_work == 1


async def test_a_live_source_is_followed_and_a_request_comes_first() -> None:
    desk = office(wiki=source(watch=True))
    desk.give(DONE)
    await desk.until(lambda: desk.jobs.followed == [WIKI])  # the worker itself asked for the sync before
    assert (len(desk.log.requests), desk.log.committed) == (1, 1)

    desk.log.request(WIKI, SyncMode.FULL)
    await desk.until(lambda: len(desk.jobs.syncs) == 2)
    assert desk.jobs.at_work == {WIKI: 1}
    desk.give(DONE)
    await desk.until(lambda: len(desk.jobs.followed) == 2)
    await desk.ticks()
    assert len(desk.log.requests) == 2


async def test_a_live_source_that_failed_is_tried_again_after_a_while() -> None:
    desk = office(wiki=source(watch=True))
    desk.give(DONE, SyncReport(ending=Ending.FAILED, reason="away"))
    await desk.until(lambda: desk.log.endings() == [Ending.COMPLETED, Ending.FAILED])
    await desk.ticks()
    assert len(desk.log.requests) == 1
    desk.clock.advance(timedelta(seconds=61).total_seconds())
    await desk.until(lambda: len(desk.log.requests) == 2)


async def test_a_schedule_asks_once_and_makes_good_what_was_missed_once() -> None:
    desk = office(wiki=source(schedule="0 * * * *"))
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 1)  # never synced: at once
    desk.clock.advance(20)
    await desk.ticks()
    assert len(desk.log.requests) == 1
    desk.clock.advance(3 * 3600)
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 2)
    desk.clock.advance(20)
    await desk.ticks()
    assert len(desk.log.requests) == 2


async def test_a_lost_source_says_nothing_of_the_source() -> None:
    desk = office()
    desk.log.request(WIKI)
    desk.give(LostError("fenced"), DONE)
    await desk.until(lambda: len(desk.jobs.syncs) == 1)
    await desk.ticks()
    assert desk.log.endings() == []
    desk.clock.advance(6)
    await desk.until(lambda: desk.log.endings() == [Ending.COMPLETED])


def limited(desk: Office, *, after_s: float = 2400) -> SyncReport:
    """A sync that its source lets go on so much later."""
    return SyncReport(ending=Ending.SUSPENDED, upserted=3, waits_until=desk.clock.now() + timedelta(seconds=after_s))


async def suspended(mode: SyncMode = SyncMode.INCREMENTAL, *items: str) -> Office:
    """Return an office whose one sync has met its source's limit."""
    desk = office(wiki=source(schedule="* * * * *"))
    desk.log.request(WIKI, mode, *items)
    desk.give(limited(desk))
    await desk.until(lambda: desk.log.endings() == [Ending.SUSPENDED])
    return desk


@pytest.mark.parametrize("restarted", [False, True], ids=["same worker", "restarted"])
async def test_a_limited_sync_goes_on_by_itself_when_its_source_allows_it(*, restarted: bool) -> None:
    first = await suspended(SyncMode.ITEMS, "a.md")
    told = first.log.progress[-1]
    assert (told.waits_until, first.log.committed) == (first.clock.now() + timedelta(minutes=40), 0)
    assert "allows requests again at 2026-03-02 09:55:00 UTC" in told.message

    desk = Office(log=first.log, sources=first.sources, clock=first.clock) if restarted else first
    begun = len(desk.jobs.syncs)
    for _ in range(4):  # schedules fire meanwhile, and ask nothing
        await desk.ticks()
        desk.clock.advance(590)
    assert (len(desk.jobs.syncs), len(desk.log.requests)) == (begun, 1)

    desk.clock.advance(40)
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 1)
    assert desk.jobs.syncs[begun][1].items == {"a.md"}
    assert desk.log.endings() == [Ending.SUSPENDED, Ending.COMPLETED]


async def test_a_worker_that_dies_while_its_source_is_waited_for_leaves_that_behind() -> None:
    shared = office()
    settings = Settings(connectors=ConnectorSettings(progress_every_s=0.001))
    first = Office(log=shared.log, sources=shared.sources, clock=shared.clock, settings=settings)
    first.log.request(WIKI, SyncMode.FULL)
    await first.until(lambda: first.jobs.syncs)
    first.jobs.waits[WIKI] = first.clock.now() + timedelta(seconds=200)
    first.clock.advance(6)
    await first.until(lambda: first.log.progress[-1].waits_until is not None, ticks=5_000)  # though nothing moves
    assert "Waits: the source allows requests again at" in first.log.progress[-1].message

    heir = Office(log=first.log, sources=first.sources, clock=first.clock)
    await heir.ticks()
    assert heir.jobs.syncs == []
    heir.clock.advance(200)
    heir.give(DONE)
    await heir.until(lambda: first.log.committed == 1)
    assert [work.mode for _, work in heir.jobs.syncs] == [SyncMode.FULL]
    first.requests.owns = False
    await first.ticks()


async def test_what_comes_while_a_source_is_limited_is_one_run_with_it() -> None:
    desk = await suspended()
    desk.log.request(WIKI, SyncMode.ITEMS, "a.md")
    desk.log.request(WIKI, SyncMode.PERMISSIONS)
    await desk.ticks()
    assert len(desk.jobs.syncs) == 1
    desk.clock.advance(2400)
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 3)
    work = desk.jobs.syncs[-1][1]
    assert (work.changes, work.permissions, work.items, len(desk.jobs.syncs)) == (True, True, frozenset({"a.md"}), 2)


async def test_who_cancels_a_limited_sync_is_heard_at_once_and_may_begin_anew() -> None:
    desk = await suspended()
    desk.log.request(WIKI, cancels=True)
    await desk.until(lambda: desk.log.committed == 2)
    assert desk.log.endings() == [Ending.SUSPENDED, Ending.CANCELLED]
    desk.log.request(WIKI)
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 3)


@pytest.mark.parametrize(
    ("changed", "ending"),
    [(source(paused=True), Ending.PAUSED), (source(schedule="0 0 1 1 *"), Ending.COMPLETED)],
    ids=["paused", "edited"],
)
async def test_a_limit_is_that_of_the_source_as_it_was(changed: Source, ending: Ending) -> None:
    desk = await suspended()
    desk.sources[WIKI] = changed
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 1)
    assert desk.log.endings() == [Ending.SUSPENDED, ending]


async def test_a_source_that_was_limited_and_is_removed_is_forgotten() -> None:
    desk = await suspended()
    desk.sources.clear()
    desk.clock.advance(11)
    await desk.until(lambda: desk.log.committed == 1)
    assert desk.log.endings() == [Ending.SUSPENDED, Ending.CANCELLED]


async def test_a_limited_source_holds_up_no_other() -> None:
    settings = Settings(connectors=ConnectorSettings(parallel_syncs=1))
    first = office(WIKI, BLOG)
    desk = Office(log=first.log, sources=first.sources, clock=first.clock, settings=settings)
    desk.log.request(WIKI)
    desk.give(limited(desk))
    await desk.until(lambda: desk.log.endings() == [Ending.SUSPENDED])
    desk.log.request(BLOG)
    desk.give(DONE)
    await desk.until(lambda: desk.log.endings(BLOG) == [Ending.COMPLETED])
