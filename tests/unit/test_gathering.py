"""Calls made side by side."""

import asyncio

import pytest

from headwater.errors import RetryableError
from headwater.gathering import all_of


async def fail() -> None:
    await asyncio.sleep(0)
    raise RetryableError("busy")


async def test_the_first_error_is_raised_as_it_is() -> None:
    with pytest.raises(RetryableError):
        await all_of([fail(), asyncio.sleep(10)])


async def test_after_an_error_the_caller_is_as_before_and_a_timeout_is_one() -> None:
    """Else a stage that waits before its next attempt would be cancelled, and its event dropped."""
    caller = asyncio.current_task()
    assert caller is not None
    with pytest.raises(RetryableError):
        await all_of([fail(), asyncio.sleep(10)])
    assert caller.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.sleep(10)


async def test_whoever_is_cancelled_while_it_waits_stays_so() -> None:
    calling = asyncio.create_task(all_of([asyncio.sleep(10)]))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert calling.cancelling() == 1
