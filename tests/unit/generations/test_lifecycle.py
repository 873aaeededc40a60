"""Switching and dropping, with the directory in memory: what is refused, and in which order things happen."""

from dataclasses import replace

import pytest

from headwater.generations.catching_up import NotCaughtUpError
from headwater.generations.lifecycle import Lifecycle
from headwater.generations.policy import PolicyError
from headwater.generations.records import GenerationRefusedError
from schemas.events.base import Store
from schemas.events.directory import Generation, GenerationState
from schemas.ids import GenerationName, Revision
from tests.unit.generations.world import G1, G2, SECOND, World


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


async def test_a_switch_that_another_one_outran_undoes_nothing(world: World, lifecycle: Lifecycle) -> None:
    """A terminal begins a switch and is slow; at another one the switch is made and taken back."""

    async def slowly(generation: GenerationName, patience_s: float) -> None:
        await world.prove(generation, patience_s)
        await lifecycle.switch(G2, patience_s=1)
        await lifecycle.roll_back(patience_s=1)

    with pytest.raises(GenerationRefusedError, match="g1 was switched to meanwhile"):
        await replace(lifecycle, prove=slowly).switch(G2, patience_s=1)
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
