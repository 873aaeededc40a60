"""Every event ends in exactly one way."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headwater.clients.kafka.errors import KafkaUnavailableError
from headwater.errors import FatalError, PoisonError, RetryableError
from headwater.retry import RetryPolicy
from headwater.telemetry.management import Health
from schemas.errors import UndecodableError
from schemas.events.base import Position
from schemas.ids import GenerationName
from schemas.topics import Topic
from streams.harness.attempts import AttemptJournal
from streams.harness.breaker import Breaker, BreakerPolicy
from streams.harness.delivery import Delivery, Outcome, routing_key
from streams.harness.errors import ReleasedError
from streams.harness.handing_over import position_header
from streams.harness.settle import Settler
from streams.harness.stage import Failure
from tests.support.events import changed
from tests.support.stages import FakeDelivery, FakePublisher
from tests.support.waiting import reached


class ScriptedStage:
    """Raises the errors of a script, one a call, then is done."""

    def __init__(self, *script: Exception | Outcome) -> None:
        self.script, self.calls, self.given_up = list(script), 0, list[Failure]()

    async def handle(self, event: Any, delivery: Delivery) -> Outcome:
        self.calls += 1
        if not self.script:
            return Outcome.DONE
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def give_up(self, event: Any, delivery: Delivery, failure: Failure) -> None:
        self.given_up.append(failure)


@pytest.fixture
def journal(tmp_path: Path) -> AttemptJournal:
    return AttemptJournal.open(tmp_path)


class Bench:
    def __init__(
        self, journal: AttemptJournal, stage: ScriptedStage, *, budget_s: float = 60.0, errors: Sequence[Exception] = ()
    ) -> None:
        self.records, self.stage, self.health = FakeDelivery(), stage, Health()
        self.publisher = FakePublisher(errors=errors)
        self.released = asyncio.Event()
        self.progress = 0
        self.settler = Settler(
            name="test",
            stage=stage,
            publisher=self.publisher,
            journal=journal,
            breaker=Breaker(BreakerPolicy()),
            health=self.health,
            retry=RetryPolicy(attempts=3, first_delay_s=0.001, budget_s=budget_s),
            generation=GenerationName("g1"),
            keyed=frozenset(),
            released=lambda: self.released,
            progressed=self._progressed,
        )

    def _progressed(self) -> None:
        self.progress += 1

    @property
    def letters(self) -> list[Any]:
        return self.publisher.events(Topic.EVENTS_PARKED)

    async def settle(self, **fields: Any) -> None:
        await self.settler.settle(self.records.make(changed(), **fields))


@pytest.fixture
def bench(journal: AttemptJournal) -> Callable[..., Bench]:
    return lambda *script, **options: Bench(journal, ScriptedStage(*script), **options)


async def test_a_done_event_is_acknowledged_once(bench: Callable[..., Bench]) -> None:
    one = bench()
    await one.settle()
    assert one.records.settled == [0]
    assert one.letters == []


async def test_what_is_busy_is_waited_out_and_never_parked(bench: Callable[..., Bench]) -> None:
    one = bench(*[RetryableError("busy")] * 10)
    await one.settle()
    assert one.stage.calls == 11
    assert one.letters == []
    assert one.progress == 11, "an attempt that fails is progress: an outage is not a stall"


async def test_past_the_budget_the_stage_is_unready_until_the_event_ends(bench: Callable[..., Bench]) -> None:
    one = bench(*[RetryableError("store is away")] * 3, budget_s=0.0)
    seen = []
    original = one.stage.handle

    async def handle(event: Any, delivery: Delivery) -> Outcome:
        seen.append(one.health.readiness().get("work"))
        return await original(event, delivery)

    one.stage.handle = handle  # type: ignore[method-assign]  # spied on
    await one.settle()
    assert seen[0] is None
    assert "store is away" in (seen[-1] or "")
    assert one.health.readiness()["work"] is None


async def test_poison_is_parked_before_it_is_acknowledged(bench: Callable[..., Bench]) -> None:
    one = bench(PoisonError("broken file"), errors=[KafkaUnavailableError("away")])
    await one.settle(value=b"bytes", headers=(("traceparent", b"00-x"),))
    (letter,) = one.letters
    assert (letter.error, letter.reason, letter.value) == ("PoisonError", "broken file", b"bytes")
    assert letter.document_id == changed().document_id
    assert letter.headers == (("traceparent", b"00-x"),)
    assert one.stage.given_up == [Failure(stage="test", error="PoisonError", reason="broken file")]
    assert one.records.settled == [0]


async def test_bytes_that_are_no_event_are_parked_as_they_are(bench: Callable[..., Bench]) -> None:
    one = bench()
    await one.settler.settle(one.records.make(None, value=b"??", broken=UndecodableError("no framing")))
    (letter,) = one.letters
    assert (letter.error, letter.value, letter.tenant_id) == ("UndecodableError", b"??", None)
    assert one.stage.given_up == [], "there is no event to give up"


async def test_what_nobody_foresaw_is_parked_without_its_text(bench: Callable[..., Bench]) -> None:
    one = bench(KeyError("a customer's words"))
    await one.settle()
    (letter,) = one.letters
    assert letter.error == "KeyError"
    assert "customer" not in letter.reason


async def test_a_fatal_error_is_neither_parked_nor_acknowledged(bench: Callable[..., Bench]) -> None:
    one = bench(FatalError("collection is missing"))
    with pytest.raises(FatalError):
        await one.settle()
    assert one.records.settled == []
    assert one.letters == []


async def test_a_release_ends_the_waiting_without_acknowledging(bench: Callable[..., Bench]) -> None:
    one = bench(*[RetryableError("away")] * 1000)
    task = asyncio.create_task(one.settle())
    await reached(lambda: one.stage.calls >= 3)
    one.released.set()
    with pytest.raises(ReleasedError):
        await task
    assert one.records.settled == []


async def test_a_tombstone_is_no_stages_business(bench: Callable[..., Bench]) -> None:
    one = bench(PoisonError("never called"))
    await one.settler.settle(one.records.make(None, value=None))
    assert one.stage.calls == 0
    assert one.records.settled == [0]


async def test_an_event_that_killed_its_worker_three_times_is_not_tried_again(
    journal: AttemptJournal, tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    one = bench()
    delivery = one.records.make(changed())
    for deaths in range(3):
        AttemptJournal.open(tmp_path).begin(delivery.origin, deaths=deaths)
    await one.settler.settle(delivery)
    (letter,) = one.letters
    assert (letter.error, letter.attempts, one.stage.calls) == ("WorkerKilledError", 3, 0)
    # Its position may not be committed when another one kills the worker: then it must not begin to count anew.
    assert journal.deaths(delivery.origin) == 3


async def test_copies_of_work_that_was_handed_over_are_tried_three_times_in_all(
    tmp_path: Path, bench: Callable[..., Bench]
) -> None:
    one = bench()
    header = position_header(Position(topic="changed", partition=2, offset=29))
    copies = [one.records.make(changed(), topic=Topic.DOCUMENTS_DEFERRED, headers=header) for _ in range(5)]
    assert len({each.origin for each in copies}) == 5
    for deaths, each in enumerate(copies[:3]):
        AttemptJournal.open(tmp_path).begin(each.work, deaths=deaths)
    for each in copies[3:]:
        await one.settler.settle(each)
    assert [letter.error for letter in one.letters] == ["WorkerKilledError"] * 2
    assert one.stage.calls == 0
    await one.settle(topic=Topic.DOCUMENTS_DEFERRED, headers=position_header(replace(copies[0].work, offset=30)))
    assert one.stage.calls == 1, "other work of the same topic has a count of its own"
    await one.settle()
    assert one.stage.calls == 2, "what hands the work over is not the work: it has a count of its own"


def test_a_reports_partition_is_its_documents() -> None:
    assert routing_key(Topic.DOCUMENTS_PROGRESSED, b"acme/doc/g1/vectors") == b"acme/doc"
    assert routing_key(Topic.QUERIES_EXECUTED, b"acme/query") == b"acme/query"
