"""A test of a source: beside what runs, answered once for all who wait, acknowledged when the answer is in the log."""

from uuid import UUID

import pytest

from connectors.endings import Ending
from connectors.worker import trials
from connectors.worker.ports import Key
from headwater.errors import FatalError, PoisonError, RetryableError, UnauthorisedError
from schemas.ids import SourceId, TenantId
from tests.support.syncing import BLOG, DONE, WIKI, Office, office, source


def answers(desk: Office) -> list[tuple[SourceId, UUID, Ending, str]]:
    return [(each.source, each.test_id, each.ending, each.message) for each in desk.log.told]


async def test_a_test_runs_beside_a_sync_and_says_that_all_is_in_order() -> None:
    desk = office()
    desk.log.request(WIKI)
    await desk.until(lambda: desk.jobs.syncs)
    asked = desk.log.request(WIKI, tests=True)
    desk.jobs.checks.put_nowait(None)
    await desk.until(lambda: desk.log.told)
    assert answers(desk) == [(WIKI[1], asked.event_id, Ending.COMPLETED, trials.IN_ORDER)]
    assert (desk.log.told[0].tenant_id, desk.log.told[0].started_at) == (WIKI[0], desk.clock.now())
    assert (desk.jobs.at_work, len(desk.jobs.syncs), desk.log.endings()) == ({WIKI: 1}, 1, [])
    desk.give(DONE)
    await desk.until(lambda: desk.log.committed == 2)


@pytest.mark.parametrize(
    ("error", "ending", "message"),
    [
        (UnauthorisedError("secrets.token: refused"), Ending.UNAUTHORISED, "secrets.token: refused"),
        (FatalError("settings.url: is none"), Ending.SOURCE_REFUSED, "settings.url: is none"),
        (PoisonError("hub.test answered 422"), Ending.SOURCE_REFUSED, "hub.test answered 422"),
        (RetryableError("away"), Ending.FAILED, "away"),
        (KeyError("secret"), Ending.FAILED, "a defect of the connector (KeyError); the worker's log has it"),
    ],
)
async def test_what_is_missing_is_named(error: Exception, ending: Ending, message: str) -> None:
    desk = office()
    asked = desk.log.request(WIKI, tests=True)
    desk.jobs.checks.put_nowait(error)
    await desk.until(lambda: desk.log.told)
    assert answers(desk) == [(WIKI[1], asked.event_id, ending, message)]


async def test_nothing_is_acknowledged_before_the_answer_and_another_worker_goes_on() -> None:
    first = office()
    first.log.request(WIKI, tests=True)
    await first.until(lambda: first.jobs.checked)
    await first.ticks()
    assert (first.log.committed, first.log.told) == (0, [])
    await first.stop()
    assert first.log.told == []

    second = Office(log=first.log, sources=first.sources, clock=first.clock)
    second.jobs.checks.put_nowait(None)
    await second.until(lambda: first.log.committed == 1)
    assert len(first.log.told) == 1


async def test_those_that_wait_are_one_test_that_answers_the_newest() -> None:
    desk = office()
    early = desk.log.request(WIKI, tests=True)
    await desk.until(lambda: desk.jobs.checked)
    desk.log.request(WIKI, tests=True)
    late = desk.log.request(WIKI, tests=True)
    await desk.ticks()
    assert (desk.jobs.checked, desk.log.committed) == ([WIKI], 0)
    desk.jobs.checks.put_nowait(None)
    await desk.until(lambda: len(desk.jobs.checked) == 2)
    await desk.ticks()
    assert desk.log.committed == 1
    desk.jobs.checks.put_nowait(None)
    await desk.until(lambda: desk.log.committed == 3)
    assert [each.test_id for each in desk.log.told] == [early.event_id, late.event_id]


async def test_paused_sources_are_tested_and_unknown_ones_after_a_while_are_not() -> None:
    desk = office(wiki=source(paused=True))
    desk.log.request(WIKI, tests=True)
    desk.log.request((WIKI[0], SourceId("none")), tests=True)
    desk.jobs.checks.put_nowait(None)
    await desk.until(lambda: desk.log.told)
    await desk.ticks()
    assert [each[0] for each in answers(desk)] == [WIKI[1]]
    desk.clock.advance(11)
    await desk.until(lambda: desk.log.committed == 2)
    assert answers(desk)[1][2:] == (Ending.CANCELLED, "the directory has no such source")


async def test_a_source_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "LIMIT_S", 0)
    desk = office()
    desk.log.request(WIKI, tests=True)
    await desk.until(lambda: desk.log.told)
    assert answers(desk)[0][2:] == (Ending.FAILED, "the source has not answered within 0 s")
    assert desk.jobs.checks.empty()


async def test_a_few_are_tested_at_once() -> None:
    keys: list[Key] = [(TenantId("acme"), SourceId(f"s{number}")) for number in range(trials.AT_ONCE + 1)]
    desk = office(*keys)
    for key in keys:
        desk.log.request(key, tests=True)
    await desk.until(lambda: len(desk.jobs.checked) == trials.AT_ONCE)
    await desk.ticks()
    assert len(desk.jobs.checked) == trials.AT_ONCE
    for _ in keys:
        desk.jobs.checks.put_nowait(None)
    await desk.until(lambda: desk.log.committed == len(keys))
    assert desk.jobs.checked == keys


async def test_a_lost_partition_is_let_go_and_an_answer_that_is_lost_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = office(WIKI, BLOG)
    desk.log.request(WIKI, tests=True)
    await desk.until(lambda: desk.jobs.checked)
    desk.requests.owns = False
    await desk.ticks()
    desk.jobs.checks.put_nowait(None)
    await desk.ticks()
    assert (desk.log.told, desk.log.committed) == ([], 0)

    async def refused(_: object) -> None:
        raise FatalError("rag.sources.tested: is missing")

    monkeypatch.setattr(desk.log, "tell", refused)
    desk.requests.owns = True
    await desk.until(lambda: desk.log.committed == 1)
    assert desk.log.told == []
