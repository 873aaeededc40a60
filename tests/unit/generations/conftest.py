"""Fixtures of the tests on generations."""

import pytest

from headwater.generations.lifecycle import Lifecycle
from headwater.generations.records import first_generation
from headwater.settings import HeadsSettings, Settings
from schemas.ids import Revision
from tests.unit.generations.world import G1, SECOND, World


@pytest.fixture
async def world() -> World:
    """The first generation serves, a second one is being built."""
    made = World()
    await made.put(first_generation(G1), over=Revision(0))
    await made.put(SECOND, over=Revision(0))
    made.done.clear()
    return made


@pytest.fixture
def lifecycle(world: World, monkeypatch: pytest.MonkeyPatch) -> Lifecycle:
    """Its waits are noted and cost no time."""

    async def sleep(delay_s: float) -> None:
        world.done.append(f"wait {delay_s:g}")

    monkeypatch.setattr("headwater.generations.lifecycle.asyncio.sleep", sleep)
    settings = Settings(heads=HeadsSettings(staleness_budget_s=7))
    return Lifecycle(settings=settings, directory=world, feeders=world, prove=world.prove, describe=world.describe)
