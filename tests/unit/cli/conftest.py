"""A stub of the API for the commands that call it."""

from collections.abc import Iterator

import pytest

from tests.support.stub_api import StubApi, stub_api


@pytest.fixture
def api() -> Iterator[StubApi]:
    with stub_api() as running:
        yield running
