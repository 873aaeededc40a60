"""Readiness per dependency."""

import asyncio
from unittest.mock import AsyncMock

import pytest

from headwater.errors import RetryableError
from headwater.ports.rows import KeywordIndex, VectorIndex
from headwater.telemetry.management import Health
from query_api.health.probes import watch
from query_api.runtime import Stores
from tests.support.api import FakeApi, fake_api
from tests.support.waiting import reached

AWAY = RetryableError("away")


async def readiness_of(api: FakeApi, *, broker: AsyncMock) -> dict[str, str | None]:
    health = Health()
    watching = asyncio.create_task(watch(api.runtime, health, broker=broker))
    await reached(lambda: "stores" in health.readiness())
    watching.cancel()
    return dict(health.readiness())


@pytest.mark.parametrize(
    ("vectors", "keywords", "ready"), [(None, None, True), (AWAY, None, True), (None, AWAY, True), (AWAY, AWAY, False)]
)
async def test_one_store_is_enough(vectors: Exception | None, keywords: Exception | None, *, ready: bool) -> None:
    stores = Stores(vectors=AsyncMock(spec=VectorIndex), keywords=AsyncMock(spec=KeywordIndex))
    stores.vectors.count.side_effect = vectors  # type: ignore[attr-defined]  # a mock
    stores.keywords.count.side_effect = keywords  # type: ignore[attr-defined]  # a mock
    generations = AsyncMock()
    generations.stores.return_value = stores
    async with fake_api(generations=generations) as api:
        state = await readiness_of(api, broker=AsyncMock())
        assert (state["stores"] is None) == ready
        assert state["kafka"] is None
        assert state["log"] is None


async def test_a_broker_that_is_away_and_a_replica_that_is_behind_are_not_ready() -> None:
    generations = AsyncMock()
    generations.stores.side_effect = AWAY
    async with fake_api(generations=generations) as api:
        api.heads.lag_s = 11
        state = await readiness_of(api, broker=AsyncMock(side_effect=AWAY))
        assert state["kafka"] == "away"
        assert "behind the log" in (state["log"] or "")
        assert state["stores"] == "away; away"
