"""Fixtures that every test folder shares."""

import os
from collections.abc import Iterator

import pytest

from tests.support.stack import RunningStack, running_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The real components, started once for the session. Only for tests marked `real`."""
    with running_stack(os.environ.get("HEADWATER_TEST_STACK", "local")) as running:
        yield running
