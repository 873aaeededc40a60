"""One replica on fakes per test."""

from collections.abc import AsyncIterator

import pytest

from tests.support.api import FakeApi, fake_api


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    """A replica with the tenant `acme`."""
    async with fake_api() as running:
        yield running
