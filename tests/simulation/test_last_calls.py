"""Whatever a worker asks of the outside is once the last thing that a process of it does.

The standard run kills at random calls. Here each kind of call, of each worker, ends three processes: one before it is
sent, one when it takes effect, one with its answer.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from tests.simulation.mutants import BY_NAME, mutated
from tests.simulation.process import WORLD, Process
from tests.simulation.run import Outcome, simulate
from tests.simulation.shrinking import oracle_of
from tests.simulation.steps import SPAN_S
from tests.simulation.story import tell

T = TypeVar("T")

# What is wished for in these stories, one after the other: a worker's session has to end before its successor works.
SEEDS = (0, 11, 18, 3, 38, 7)
UNTIL_S = SPAN_S * len(SEEDS)
WISHES = {"put", "patch", "delete", "ask", "group", "guest", "knowledge_base", "budget", "approve"}
STAGES = {"admit", "prepare", "embed", "index-vectors", "index-keywords", "status", "sweep", "heads"}
KINDS = 60
ENDS = 3


class Striker:
    """Stands between processes and the outside."""

    def __init__(self) -> None:
        self.struck: Counter[tuple[str, str]] = Counter()  # how often, by stage and kind of call

    def before(self, io: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
        """Return what takes the place of `Process.io`."""

        async def striking(process: Process, effect: Callable[[], T], *, slowness: float = 1.0) -> T:
            way = self._way(process, effect)
            if way is None:
                return await io(process, effect, slowness=slowness)
            if way == 0:
                process.kill()

            def arrive() -> T:
                try:
                    return effect()
                finally:
                    if way == 1:
                        process.kill()

            try:
                return await io(process, arrive, slowness=slowness)
            finally:
                process.kill()

        return striking

    def _way(self, process: Process, effect: Callable[[], object]) -> int | None:
        """Return how a call is to be its process's last; None: it is not, or faults are over and (e) counts."""
        world = WORLD.get()
        if process.dead or process.name not in world.workers or world.loop.time() > UNTIL_S:
            return None
        kind = (process.name.rpartition("-")[0], effect.__qualname__)
        if self.struck[kind] == ENDS:
            return None
        self.struck[kind] += 1
        world.faults += 1
        return self.struck[kind] - 1


@pytest.fixture
def striker(monkeypatch: pytest.MonkeyPatch) -> Striker:
    striker = Striker()
    monkeypatch.setattr(Process, "io", striker.before(Process.io))
    return striker


def told() -> Outcome:
    """Tell the stories, without faults of their own."""
    steps = [
        replace(step, at_s=step.at_s + SPAN_S * number)
        for number, seed in enumerate(SEEDS)
        for step in tell(seed)
        if step.do in WISHES
    ]
    return simulate(0, steps)


def test_every_kind_of_call_may_be_the_last(striker: Striker) -> None:
    assert told().violations == ()
    assert {stage for stage, _ in striker.struck} == STAGES
    assert len(striker.struck) > KINDS
    assert striker.struck.total() > (ENDS - 0.5) * len(striker.struck), "few of them are made less often"


def test_it_would_be_noticed(striker: Striker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that commits what is not done, often enough to have done so before its process dies."""
    monkeypatch.setattr("tests.simulation.workers._COMMIT_S", 0.02)
    with mutated(BY_NAME["commit-past-gap"]):
        violations = told().violations
    assert {oracle_of(each) for each in violations} == {"(e)"}
    assert striker.struck
