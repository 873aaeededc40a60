"""Tenants take turns: as a value, and in the dispatcher."""

import asyncio

import pytest

from schemas.events.base import Lane
from streams.harness.delivery import Delivery
from streams.harness.dispatcher import Dispatcher, Limits
from streams.harness.turns import Turns
from tests.support.stages import FakeDelivery
from tests.support.waiting import reached


def drained(turns: Turns) -> list[object]:
    taken = []
    while turns:
        key = turns.first()
        turns.take(key)
        taken.append(key)
    return taken


def test_a_tenants_keys_go_in_order_and_tenants_in_turns() -> None:
    turns = Turns()
    for key in ("a1", "a2", "a3", "b1", "c1", "b2"):
        turns.add(key, key[0].encode())
    assert drained(turns) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_who_comes_again_waits_for_the_others() -> None:
    turns = Turns()
    turns.add("a1", b"a")
    turns.add("b1", b"b")
    turns.take("a1")
    turns.add("a2", b"a")
    assert drained(turns) == ["b1", "a2"]


def test_a_key_that_waits_keeps_its_place_and_one_that_is_discarded_costs_no_turn() -> None:
    turns = Turns()
    for key in ("a1", "b1", "a1", "a2"):
        turns.add(key, key[0].encode())
    turns.discard("a1")
    turns.discard("never added")
    assert "a1" not in turns
    assert drained(turns) == ["a2", "b1"]


@pytest.mark.parametrize("lane", list(Lane))
async def test_one_tenants_crowd_delays_another_tenant_by_one_document_a_place(lane: Lane) -> None:
    records, begun = FakeDelivery(), list[bytes]()

    async def settle(delivery: Delivery) -> None:
        begun.append(delivery.key or b"")
        await asyncio.sleep(0)
        delivery.settle()

    dispatcher = Dispatcher(
        settle,
        limits=Limits(live_keys=2, backfill_keys=2, buffer_bytes=100_000),
        is_suspect=lambda _: False,
        on_fatal=lambda error: pytest.fail(str(error)),
        stage="test",
    )
    dispatcher.resume()
    for number in range(100):
        await dispatcher.offer(records.make(key=b"crowd/%d" % number, lane=lane))
    for number in range(10):
        await dispatcher.offer(records.make(key=b"small/%d" % number, lane=lane))
    await reached(lambda: len(records.settled) == 110)
    last = max(place for place, key in enumerate(begun) if key.startswith(b"small/"))
    assert last < 2 * 10 + 4
    assert [key for key in begun if key.startswith(b"crowd/")] == [b"crowd/%d" % number for number in range(100)]
