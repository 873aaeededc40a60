import asyncio
from collections.abc import Sequence

import pytest

from headwater.concurrency import all_of
from headwater.errors import RetryableError


class Calls:
    """Calls that wait until they are cancelled, or fail at once; remembers which were cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def wait(self, name: str) -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        return name

    async def fail(self) -> str:
        await asyncio.sleep(0)
        raise RetryableError("busy")


async def after(rounds: int, result: str) -> str:
    for _ in range(rounds):
        await asyncio.sleep(0)
    return result


@pytest.mark.parametrize(("rounds", "results"), [([3, 1, 2], ["0", "1", "2"]), ([], [])])
async def test_results_are_in_the_order_of_the_calls(rounds: Sequence[int], results: list[str]) -> None:
    assert await all_of(after(wait, str(number)) for number, wait in enumerate(rounds)) == results


async def test_the_first_error_cancels_the_others_and_is_raised_as_it_is() -> None:
    calls = Calls()
    with pytest.raises(RetryableError, match="busy"):
        await all_of([calls.wait("first"), calls.fail(), calls.wait("last")])
    assert calls.cancelled == ["first", "last"]


async def test_whoever_is_cancelled_has_ended_all_calls() -> None:
    calls = Calls()
    task = asyncio.create_task(all_of([calls.wait("first"), calls.wait("last")]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert calls.cancelled == ["first", "last"]


async def test_a_task_whose_call_failed_does_not_count_as_cancelled() -> None:
    """Where it does, Python 3.11.2's `asyncio.timeout` cancels the task where it should raise TimeoutError."""
    with pytest.raises(RetryableError):
        await all_of([Calls().fail()])
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
