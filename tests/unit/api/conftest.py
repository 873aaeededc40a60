"""One replica on fakes per test, with documents in both stores or without."""

from collections.abc import AsyncIterator

import pytest

from schemas.ids import TenantId
from tests.support.answering import AnsweringApi, answering_api
from tests.support.api import FakeApi, fake_api
from tests.support.mishaps import Case


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    """A replica with the tenant `acme`."""
    async with fake_api() as running:
        yield running


@pytest.fixture
async def replica() -> AsyncIterator[AnsweringApi]:
    async with answering_api() as running:
        yield running


@pytest.fixture
async def case(replica: AnsweringApi) -> Case:
    """A document of a tenant of its own, to be explained."""
    return await Case.open(replica, TenantId("globex"))


@pytest.fixture
async def ada(replica: AnsweringApi) -> dict[str, str]:
    return await replica.api.key("ada", scopes=("read",))
