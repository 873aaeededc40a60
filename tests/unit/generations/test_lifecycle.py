"""Switching and dropping, with the directory in memory: what is refused, and in which order things happen."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from headwater.generations.catching_up import NotCaughtUpError
from headwater.generations.lifecycle import Lifecycle
from headwater.generations.policy import PolicyError
from headwater.generations.records import (
    GenerationRefusedError,
    Generations,
    Known,
    first_generation,
    new_generation,
)
from headwater.heads.directory_table import DirectoryTable
from headwater.settings import HeadsSettings, Settings
from schemas.events.base import Store
from schemas.events.directory import DirectoryKind, Generation, GenerationState
from schemas.ids import SYSTEM_TENANT, GenerationName, Revision
from tests.support.heads import directory_record

G1, G2 = GenerationName("g1"), GenerationName("g2")
SECOND = new_generation(G2, policy="structure-1,max_bytes=2000", created_at=datetime(2026, 3, 1, tzinfo=UTC))


@dataclass
class World:
    """Implements Records and Feeders, and notes what is done; `lacking` has not caught up."""

    lacking: frozenset[GenerationName] = frozenset()
    done: list[str] = field(default_factory=list)
    table: DirectoryTable = field(default_factory=DirectoryTable)
    _revisions: int = 0

    async def read(self) -> Generations:
        return Generations.of(self.table, default=G1)

    async def put(self, record: Generation, *, over: Revision) -> Known:
        before = self.table.get(SYSTEM_TENANT, DirectoryKind.GENERATION, record.name)
        assert over == (before.revision if before else 0)
        self._revisions += 1
        revision = Revision(self._revisions)
        self.table.apply(
            directory_record(DirectoryKind.GENERATION, record.name, record, tenant=SYSTEM_TENANT, revision=revision)
        )
        self.done.append(f"put {record.name} {record.state.value} {record.switched}")
        return Known(record=record, revision=revision)

    async def start(self, generation: GenerationName) -> None:
        self.done.append(f"start {generation}")

    async def stop(self, generation: GenerationName) -> None:
        self.done.append(f"stop {generation}")

    async def prove(self, generation: GenerationName, _patience_s: float) -> None:
        self.done.append(f"prove {generation}")
        if generation in self.lacking:
            raise NotCaughtUpError(f"{generation} has not caught up")


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
    return Lifecycle(settings=settings, directory=world, feeders=world, prove=world.prove)


async def test_a_switch_is_proved_then_waited_for_then_one_record(world: World, lifecycle: Lifecycle) -> None:
    await lifecycle.switch(G2, patience_s=1)
    assert world.done == ["prove g2", "wait 7", "put g2 serving 2"]
    assert (await world.read()).serving == G2


async def test_a_rollback_is_proved_and_takes_no_wait(world: World, lifecycle: Lifecycle) -> None:
    await lifecycle.switch(G2, patience_s=1)
    world.done.clear()
    await lifecycle.roll_back(patience_s=1)
    assert world.done == ["prove g1", "put g1 serving 3"]
    assert (await world.read()).serving == G1


async def test_what_lacks_something_does_not_serve(world: World, lifecycle: Lifecycle) -> None:
    world.lacking = frozenset({G2})
    with pytest.raises(NotCaughtUpError):
        await lifecycle.switch(G2, patience_s=1)
    assert world.done == ["prove g2"]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (replace(SECOND, rebuilding=(Store.VECTORS,)), "vectors of g2 are being rebuilt"),
        (replace(SECOND, state=GenerationState.RETIRED), "g2 was dropped"),
        (replace(SECOND, state=GenerationState.SERVING, switched=2), "g2 serves already"),
    ],
)
async def test_a_switch_that_makes_no_sense_changes_nothing(
    world: World, lifecycle: Lifecycle, record: Generation, why: str
) -> None:
    await world.put(record, over=Revision(2))
    world.done.clear()
    with pytest.raises(GenerationRefusedError, match=why):
        await lifecycle.switch(G2, patience_s=1)
    assert world.done == []


async def test_the_one_that_serves_is_not_dropped(world: World, lifecycle: Lifecycle) -> None:
    with pytest.raises(GenerationRefusedError, match="g1 serves"):
        await lifecycle.drop(G1)
    assert world.done == []


async def test_a_name_is_used_once_and_a_policy_is_checked_first(world: World, lifecycle: Lifecycle) -> None:
    with pytest.raises(GenerationRefusedError, match="choose another name"):
        await lifecycle.create(G2, policy="structure-1")
    with pytest.raises(PolicyError):
        await lifecycle.create(GenerationName("g3"), policy="by-feel")
    assert world.done == []
