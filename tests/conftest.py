"""Fixtures that every test folder shares."""

import os
from collections.abc import Iterator

import pytest

from tests.support.platform import Platform, running_platform
from tests.support.stack import RunningStack, running_stack


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
