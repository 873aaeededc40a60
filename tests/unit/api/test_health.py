"""Readiness per dependency."""

import asyncio
from unittest.mock import AsyncMock

import httpx
import pytest

from headwater.errors import RetryableError
from headwater.ports.rows import KeywordIndex, VectorIndex
from headwater.settings import ManagementSettings
from headwater.telemetry.management import Health, ManagementServer
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


DEPENDENCIES = ("bootstrap", "kafka", "log", "stores")


@pytest.mark.parametrize("away", [None, *DEPENDENCIES])
async def test_readyz_is_503_for_each_dependency_and_names_it(away: str | None) -> None:
    generations, broker, health = AsyncMock(), AsyncMock(), Health()
    for dependency in DEPENDENCIES:
        health.unready(dependency, "not looked at yet")  # as a replica begins
    if away == "stores":
        generations.stores.side_effect = AWAY
    if away == "kafka":
        broker.side_effect = AWAY
    if away != "bootstrap":
        health.ready("bootstrap")
    async with fake_api(generations=generations) as api:
        api.heads.lag_s = 11 if away == "log" else 0
        with ManagementServer(ManagementSettings(), health) as server:
            url = f"http://127.0.0.1:{server.port}/readyz"
            before = await asyncio.to_thread(httpx.get, url)
            watching = asyncio.create_task(watch(api.runtime, health, broker=broker))
            await reached(lambda: health.readiness()["stores"] != "not looked at yet")
            watching.cancel()
            answer = await asyncio.to_thread(httpx.get, url)
    assert before.status_code == 503
    assert answer.status_code == (503 if away else 200)
    assert answer.json()["ready"] is (away is None)
    reasons = answer.json()["dependencies"]
    assert set(reasons) == set(DEPENDENCIES)
    assert {name for name, reason in reasons.items() if reason} == ({away} if away else set())
