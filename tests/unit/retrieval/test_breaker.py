import pytest

from headwater.errors import PoisonError, RetryableError
from query_api.retrieval.breaker import Breaker, DependencyDownError


class Dependency:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.error:
            raise self.error
        return "fine"


async def fail(breaker: Breaker, dependency: Dependency, times: int) -> None:
    dependency.error = RetryableError("away")
    for _ in range(times):
        with pytest.raises(RetryableError):
            await breaker.call(dependency)


async def test_it_opens_after_failures_in_a_row_and_spares_the_dependency() -> None:
    breaker, dependency = Breaker("store", failures=3, pause_s=60), Dependency()
    await fail(breaker, dependency, 3)
    with pytest.raises(DependencyDownError, match="store"):
        await breaker.call(dependency)
    assert dependency.calls == 3


async def test_after_the_pause_one_call_decides() -> None:
    breaker, dependency = Breaker("store", failures=2, pause_s=0), Dependency()
    await fail(breaker, dependency, 2)
    dependency.error = None
    assert await breaker.call(dependency) == "fine"
    assert not breaker.is_open


async def test_a_success_in_between_starts_the_count_again() -> None:
    breaker, dependency = Breaker("store", failures=2, pause_s=60), Dependency()
    await fail(breaker, dependency, 1)
    dependency.error = None
    await breaker.call(dependency)
    await fail(breaker, dependency, 1)
    assert not breaker.is_open


async def test_a_refused_query_is_not_an_outage() -> None:
    breaker, dependency = Breaker("store", failures=1, pause_s=60), Dependency()
    dependency.error = PoisonError("query: too long")
    for _ in range(3):
        with pytest.raises(PoisonError):
            await breaker.call(dependency)
    assert not breaker.is_open
