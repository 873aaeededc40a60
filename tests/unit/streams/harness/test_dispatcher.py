"""Order, lanes, bounds and letting go, without a broker."""

import asyncio
from collections import defaultdict

import pytest

from headwater.errors import FatalError
from schemas.events.base import Lane
from streams.harness.delivery import Delivery
from streams.harness.dispatcher import Dispatcher, Limits
from streams.harness.errors import ReleasedError
from tests.support.stages import FakeDelivery
from tests.support.waiting import reached


class Work:
    """A settle function whose events end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.gates: dict[int, asyncio.Event] = defaultdict(asyncio.Event)

    async def __call__(self, delivery: Delivery) -> None:
        self.begun.append(delivery.origin.offset)
        await self.gates[delivery.origin.offset].wait()
        delivery.settle()

    def finish(self, *offsets: int) -> None:
        for offset in offsets:
            self.gates[offset].set()


class Bench:
    """A dispatcher with everything it needs."""

    def __init__(
        self,
        *,
        suspects: set[int] | None = None,
        live_keys: int = 4,
        backfill_keys: int = 2,
        buffer_bytes: int = 10_000,
    ) -> None:
        self.work, self.records, self.fatal = Work(), FakeDelivery(), list[BaseException]()
        self.dispatcher = Dispatcher(
            self.work,
            limits=Limits(live_keys=live_keys, backfill_keys=backfill_keys, buffer_bytes=buffer_bytes),
            is_suspect=lambda delivery: delivery.origin.offset in (suspects or set()),
            on_fatal=self.fatal.append,
            stage="test",
        )
        self.dispatcher.resume()

    async def offer(self, key: bytes, *, lane: Lane = Lane.LIVE, size_bytes: int = 100) -> None:
        await self.dispatcher.offer(self.records.make(key=key, lane=lane, size_bytes=size_bytes))


async def settled(bench: Bench, count: int) -> None:
    await reached(lambda: len(bench.records.settled) >= count)


async def turns() -> None:
    """Let everything that can happen happen."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_events_of_one_key_are_worked_on_one_after_the_other() -> None:
    bench = Bench()
    for _ in range(3):
        await bench.offer(b"a")
    await turns()
    assert bench.work.begun == [0]
    bench.work.finish(0, 1, 2)
    await settled(bench, 3)
    assert bench.records.settled == [0, 1, 2]


async def test_an_event_knows_what_was_delivered_behind_it() -> None:
    bench = Bench()
    first, second, third = (bench.records.make(key=key) for key in (b"a", b"a", b"a"))
    for delivery in (first, bench.records.make(key=b"b"), second, third):
        await bench.dispatcher.offer(delivery)
    assert [list(each.followers()) for each in (first, second, third)] == [[second, third], [third], []]
    bench.work.finish(0, 1, 2, 3)
    await settled(bench, 4)


async def test_keys_are_worked_on_side_by_side_up_to_the_limit() -> None:
    bench = Bench(live_keys=2)
    for key in (b"a", b"b", b"c"):
        await bench.offer(key)
    await turns()
    assert bench.work.begun == [0, 1]
    bench.work.finish(1)
    await settled(bench, 1)
    await turns()
    assert bench.work.begun == [0, 1, 2]


async def test_a_live_event_does_not_wait_for_the_backlog_delivered_before_it() -> None:
    bench = Bench(live_keys=1, backfill_keys=1)
    for number in range(10):
        await bench.offer(b"bulk%d" % number, lane=Lane.BACKFILL)
    await bench.offer(b"edit", lane=Lane.LIVE)
    await turns()
    assert bench.work.begun == [0, 10]


async def test_a_live_event_pulls_the_older_events_of_its_own_document_along() -> None:
    bench = Bench(live_keys=1, backfill_keys=1)
    await bench.offer(b"x", lane=Lane.BACKFILL)
    await bench.offer(b"y", lane=Lane.BACKFILL)
    await bench.offer(b"y", lane=Lane.LIVE)
    await turns()
    assert bench.work.begun == [0, 1], "the document's first event comes first, in the live lane's place"
    bench.work.finish(1)
    await settled(bench, 1)
    await turns()
    assert bench.work.begun == [0, 1, 2]


async def test_offering_waits_while_the_buffer_is_full() -> None:
    bench = Bench(buffer_bytes=250)
    await bench.offer(b"a")
    await bench.offer(b"b")
    third = asyncio.create_task(bench.offer(b"c"))
    await turns()
    assert not third.done()
    bench.work.finish(0)
    async with asyncio.timeout(5):
        await third


async def test_suspects_run_first_and_alone() -> None:
    bench = Bench(suspects={1, 3})
    for key in (b"a", b"b", b"c", b"d"):
        await bench.offer(key)
    await turns()
    assert bench.work.begun == [0], "what began before the first suspect arrived"
    for finished, expected in ((0, [0, 1]), (1, [0, 1, 3]), (3, [0, 1, 3, 2])):
        bench.work.finish(finished)
        await turns()
        assert bench.work.begun == expected


async def test_release_lets_go_of_what_has_not_begun_and_waits_for_the_rest() -> None:
    bench = Bench(live_keys=1)
    for key in (b"a", b"b", b"a"):
        await bench.offer(key)
    await turns()
    release = asyncio.create_task(bench.dispatcher.release(within_s=5))
    await turns()
    assert sorted(bench.records.abandoned) == [1, 2]
    bench.work.finish(0)
    await release
    assert bench.records.settled == [0]
    assert not bench.dispatcher.busy


async def test_release_cancels_what_takes_too_long_without_settling_it() -> None:
    bench = Bench()
    await bench.offer(b"a")
    await turns()
    await bench.dispatcher.release(within_s=0.01)
    assert bench.records.settled == []
    assert bench.records.abandoned == [0]
    await bench.offer(b"b")
    assert bench.records.abandoned == [0, 1], "nothing is accepted until it is resumed"
    bench.dispatcher.resume()
    await bench.offer(b"a")
    await turns()
    assert bench.work.begun == [0, 2]


async def test_work_that_is_cancelled_without_a_release_ends_the_stage() -> None:
    records, fatal, begun = FakeDelivery(), list[BaseException](), list[int]()

    async def settle(delivery: Delivery) -> None:
        begun.append(delivery.origin.offset)
        raise asyncio.CancelledError

    dispatcher = Dispatcher(
        settle,
        limits=Limits(live_keys=1, backfill_keys=1, buffer_bytes=1000),
        is_suspect=lambda _: False,
        on_fatal=fatal.append,
        stage="test",
    )
    dispatcher.resume()
    for _ in range(2):
        await dispatcher.offer(records.make())
    await turns()
    assert [type(error) for error in fatal] == [FatalError]
    assert begun == [0], "the next event of the key would be settled before it"
    assert records.settled == []


@pytest.mark.parametrize(("error", "is_fatal"), [(RuntimeError("bug"), True), (ReleasedError("gone"), False)])
async def test_an_event_that_raises_is_never_settled(error: Exception, *, is_fatal: bool) -> None:
    records, fatal = FakeDelivery(), list[BaseException]()

    async def settle(_delivery: Delivery) -> None:
        raise error

    dispatcher = Dispatcher(
        settle,
        limits=Limits(live_keys=1, backfill_keys=1, buffer_bytes=1000),
        is_suspect=lambda _: False,
        on_fatal=fatal.append,
        stage="test",
    )
    dispatcher.resume()
    await dispatcher.offer(records.make())
    await turns()
    assert records.settled == []
    assert records.abandoned == [0]
    assert fatal == ([error] if is_fatal else [])
