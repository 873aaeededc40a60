"""Fixtures that every test folder shares."""

from collections.abc import Iterator

import pytest

from tests.support.stack import RunningStack, external_stack


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """The real components, started once for the session. Only for tests marked `real`."""
    yield external_stack()
