"""Bytes in flight stay within the bound, in the order they were asked for."""

import asyncio

import pytest

from headwater.clients.kafka.budget import ByteBudget


async def settled(*tasks: asyncio.Task[None]) -> list[bool]:
    """Let every task go as far as it can; say which are done."""
    for _ in range(10):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


async def test_who_exceeds_it_waits_for_others() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    second = asyncio.create_task(budget.take(5))
    assert await settled(second) == [False]
    budget.give(6)
    assert await settled(second) == [True]


async def test_a_small_piece_does_not_overtake_a_large_one() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    large = asyncio.create_task(budget.take(8))
    await asyncio.sleep(0)
    small = asyncio.create_task(budget.take(1))
    assert await settled(large, small) == [False, False]
    budget.give(6)
    assert await settled(large, small) == [True, True]


async def test_a_piece_above_the_bound_goes_alone() -> None:
    budget = ByteBudget(10)
    await budget.take(100)
    other = asyncio.create_task(budget.take(1))
    assert await settled(other) == [False]
    budget.give(100)
    assert await settled(other) == [True]


async def test_who_gives_up_leaves_the_queue() -> None:
    budget = ByteBudget(10)
    await budget.take(6)
    large = asyncio.create_task(budget.take(8))
    await asyncio.sleep(0)
    small = asyncio.create_task(budget.take(4))
    await asyncio.sleep(0)
    large.cancel()
    with pytest.raises(asyncio.CancelledError):
        await large
    assert await settled(small) == [True]


async def test_who_gives_up_at_its_turn_returns_its_bytes() -> None:
    budget = ByteBudget(10)
    await budget.take(10)
    waiting = asyncio.create_task(budget.take(10))
    await asyncio.sleep(0)
    budget.give(10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(1):
        await budget.take(10)
