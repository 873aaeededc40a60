"""Tells one story in a simulated world, and returns what was seen."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from query_api.retrieval.retriever import Mode
from schemas.topics import Topic
from tests.simulation.actions import Actions, id_of, tenant_of
from tests.simulation.loop import VirtualLoop, run_virtually
from tests.simulation.oracles import Oracles
from tests.simulation.process import WORLD
from tests.simulation.seams import seams
from tests.simulation.steps import DOCUMENTS, SPAN_S, USERS, Step
from tests.simulation.story import tell
from tests.simulation.truth import Truth
from tests.simulation.world import REMOVAL_GRACE_S, REPLICAS, World

# After the last fault: sessions and transactions time out, members rejoin, what failed is tried again.
BOUND_S = 90.0
# A document that kills its worker does so four times before it is parked; each time its partitions wait for the session
# of the dead member to end. Reading the log again tries it again.
_BOUND_PER_KILLER_S = 60.0
_FOUNDING_S = 0.4
_SWEEPERS_RETURN_S = 20.0  # one that was killed at the end waits for its session, then the whole grace again


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run came to."""

    seed: int
    violations: tuple[str, ...]
    events: int
    answers: int
    rows: int
    finds: int  # answers in the end in which a document had to be
    settled_after_s: float
    crashes: tuple[str, ...]
    ranges_read: tuple[tuple[int, int], ...] = ()  # of documents with pages: by which process, from which page on


def simulate(seed: int, story: Sequence[Step] | None = None) -> Outcome:
    """Tell a story, the seed's own unless another one is given. Same arguments, same outcome."""
    steps = tell(seed) if story is None else story
    loop = VirtualLoop()
    with seams():
        return run_virtually(loop, _run(loop, seed, steps))


async def _run(loop: VirtualLoop, seed: int, steps: Sequence[Step]) -> Outcome:
    world = World(loop, seed)
    WORLD.set(world)
    truth = Truth(topics={world.topic(topic): topic for topic in Topic}, partitions=world.broker.partitions)
    world.broker.on_visible.append(truth.see)
    oracles = Oracles(world, truth)
    actions = Actions(world, truth, oracles.judge)
    world.start()
    actions.found()
    for step in steps:
        await asyncio.sleep(max(0.0, step.at_s + _FOUNDING_S - loop.time()))
        actions.do(step)
        if truth.violations:
            break
    if not truth.violations:
        await asyncio.sleep(max(0.0, SPAN_S - loop.time()))
    healed_s = loop.time()
    if not truth.violations:
        world.heal()
        killers = sum(step.what.get("flaw") == "deadly" for step in steps)
        await _settle(world, truth, oracles, bound_s=BOUND_S + _BOUND_PER_KILLER_S * killers)
    settled_s = loop.time() - healed_s
    if not truth.violations:
        await _ask_everything(world, truth, oracles, Random(f"ask/{seed}"))  # of its own: no story changes
        await asyncio.sleep(REMOVAL_GRACE_S + _SWEEPERS_RETURN_S)
        truth.violations += oracles.final()
    return Outcome(
        seed=seed,
        violations=tuple(dict.fromkeys(truth.violations)),
        events=world.events,
        answers=oracles.answers,
        rows=oracles.rows,
        finds=oracles.finds,
        settled_after_s=settled_s,
        crashes=tuple(crash for worker in world.workers.values() for crash in worker.crashes),
        ranges_read=tuple(world.ranges_read),
    )


async def _settle(world: World, truth: Truth, oracles: Oracles, *, bound_s: float) -> None:
    deadline_s = world.loop.time() + bound_s
    quiet = 0
    while quiet < 2 and not truth.violations:  # twice: a transaction's positions may show before its records do
        left = oracles.unsettled()
        quiet = 0 if left else quiet + 1
        if left and world.loop.time() > deadline_s:
            truth.violations += [f"(e) {bound_s:g} s after the last fault: {each}" for each in left]
            return
        await asyncio.sleep(1.0)


async def _ask_everything(world: World, truth: Truth, oracles: Oracles, random: Random) -> None:
    """Ask each replica for each document, by words and by meaning, as somebody who may read it, where anybody may."""
    finders = {document: oracles.finders(id_of(document)) for document in range(DOCUMENTS)}
    for name in REPLICAS:
        for document, mode in product(range(DOCUMENTS), (Mode.VECTOR, Mode.KEYWORD)):
            answer = await world.apis[name].ask(
                tenant=tenant_of(document),
                user=random.choice(finders[document] or USERS),
                words=f"topic{document}",
                mode=mode,
                top_k=200,
            )
            oracles.judge(answer)
            if finders[document]:
                truth.violations += oracles.missed(answer, id_of(document))
