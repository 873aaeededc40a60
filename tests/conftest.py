"""Fixtures that every test folder shares."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from tests.support.platform import Platform, running_platform
from tests.support.stack import RunningStack, running_stack

# How long an example takes is the machine's business, not the code's: a busy machine must not fail a property.
hypothesis.settings.register_profile("headwater", deadline=None)
hypothesis.settings.load_profile("headwater")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep tests that share the stack in one process where others run beside it (`-n 2 --dist loadgroup`)."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if item.get_closest_marker("real"):
                item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The real components, started once for the session. Only for tests marked `real`."""
    with running_stack(os.environ.get("HEADWATER_TEST_STACK", "local")) as running:
        yield running


@pytest.fixture(scope="session")
def platform(stack: RunningStack) -> Iterator[Platform]:
    """The whole product on the real components, started once for the session. Only for tests marked `real`."""
    with running_platform(stack) as running:
        yield running
