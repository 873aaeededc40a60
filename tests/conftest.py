"""Fixtures that every test folder shares."""

import os
from collections.abc import Iterator

import hypothesis
import pytest
import structlog
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.collector import Collector, collecting
from tests.support.platform import Platform, running_platform
from tests.support.scheduling import StackScheduling
from tests.support.stack import RunningStack, running_stack
from tests.support.telemetry import undisturbed_logging

# How long an example takes is the machine's business, not the code's: a busy machine must not fail a property.
hypothesis.settings.register_profile("headwater", deadline=None)
hypothesis.settings.load_profile("headwater")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Keep tests that share the stack in one process; those without one run beside them (`-n 3`)."""
    return StackScheduling(config, log)


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Log as plain text, however the test before logged: commands that a test runs in its process configure logging.

    Left alone structlog draws each exception with all its local variables: seconds for each.
    """
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    with undisturbed_logging():
        structlog.configure(processors=[structlog.processors.add_log_level, plain])
        yield


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The real components, started once for the session. Only for tests marked `real`."""
    with running_stack(os.environ.get("HEADWATER_TEST_STACK", "local")) as running:
        yield running


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Where the whole product sends its spans."""
    with collecting() as running:
        yield running


@pytest.fixture(scope="session")
def platform(stack: RunningStack, collector: Collector) -> Iterator[Platform]:
    """The whole product on the real components, started once for the session. Only for tests marked `real`."""
    with running_platform(stack, traces=collector.endpoint) as running:
        yield running
