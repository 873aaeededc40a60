import pytest

from streams.harness.breaker import Breaker, BreakerPolicy
from streams.harness.errors import BreakerOpenError

POLICY = BreakerPolicy(window=50, at_least=10, share=0.5)


def test_a_deploy_that_breaks_for_everybody_opens_it() -> None:
    breaker = Breaker(POLICY)
    for number in range(9):
        breaker.unexpected(f"tenant-{number % 3}")
    with pytest.raises(BreakerOpenError, match="roll it back"):
        breaker.unexpected("tenant-0")


def test_one_tenants_odd_documents_weigh_no_more_than_one_tenant() -> None:
    breaker = Breaker(POLICY)
    for tenant in ("b", "c"):
        breaker.expected(tenant)
    for _ in range(48):
        breaker.unexpected("a")


def test_a_single_tenant_is_protected_as_well() -> None:
    breaker = Breaker(POLICY)
    for _ in range(5):
        breaker.expected("a")
    for _ in range(4):
        breaker.unexpected("a")
    with pytest.raises(BreakerOpenError):
        breaker.unexpected("a")


def test_few_events_say_nothing() -> None:
    breaker = Breaker(POLICY)
    for _ in range(9):
        breaker.unexpected("a")


def test_old_failures_are_forgotten() -> None:
    breaker = Breaker(POLICY)
    for _ in range(9):
        breaker.unexpected("a")
    for _ in range(45):
        breaker.expected("a")
    for _ in range(15):
        breaker.unexpected("a")
