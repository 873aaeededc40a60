"""The operator at a terminal: gives the real commands on generations, each again until it is carried out."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from headwater.clients.triton.embedding_model import DIMENSION, NAME
from headwater.errors import RetryableError
from headwater.generations.catching_up import CatchUp
from headwater.generations.directory import GenerationsDirectory
from headwater.generations.lifecycle import Lifecycle
from headwater.generations.policy import ChunkPolicy
from headwater.generations.records import GenerationRefusedError, Generations, Known
from headwater.ports.models import EmbeddingModel
from headwater.settings import Settings
from schemas.events.directory import Generation
from schemas.ids import GenerationName, Revision
from tests.simulation.builds import USUAL
from tests.simulation.process import WORLD, pause

_PATIENCE_S: Final = 6.0
_TRY_AGAIN_S: Final = 1.0
_LOOK_S: Final = 0.5
_MODEL: Final = EmbeddingModel(name=NAME, revision="1", variant="fp32", dimension=DIMENSION, max_tokens=256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the operator is to do: `create`, `switch` to, or `roll_back` from a generation."""

    command: str
    generation: GenerationName
    policy: ChunkPolicy = USUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the generation that serves was proved to have: all that the log had at an instant."""

    since_s: float
    known_everywhere: bool  # a replica that did not know by the time of the switch refuses; a rollback does not wait


@dataclass(slots=True, kw_only=True, eq=False)
class Operator:
    """What outlives the commands, of which each is a process that can be killed."""

    settings: Settings
    wishes: deque[Wish] = field(default_factory=deque)
    policies: dict[GenerationName, ChunkPolicy] = field(default_factory=dict)
    proofs: dict[int, Proof] = field(default_factory=dict)  # by the number of the switch
    serving: GenerationName | None = None  # what the command that was carried out last asked for
    gaps: set[str] = field(default_factory=set)  # generations of which a stage said that it had lost events

    def take(self, wish: Wish) -> None:
        """Put a wish behind the others."""
        if wish.command == "create":
            self.policies[wish.generation] = wish.policy
        self.wishes.append(wish)

    def note(self, wish: Wish) -> None:
        """Remember what is to serve from now on; every story rolls back to the first generation."""
        if wish.command != "create":
            self.serving = wish.generation if wish.command == "switch" else self.settings.generation

    def read_of_a_gap(self, worker: str) -> None:
        """Do what the sentence says that a stage ended with: build another generation from the log, and switch.

        What has lost events will never have caught up: nobody waits for it any more.
        """
        generation = generation_of(worker, self.settings.generation)
        if generation in self.gaps:
            return
        self.gaps.add(generation)
        self.wishes = deque(wish for wish in self.wishes if wish.generation != generation)
        following = GenerationName(f"g{len(WORLD.get().builds) + 1}")
        WORLD.get().wish(Wish(command="create", generation=following))
        WORLD.get().wish(Wish(command="switch", generation=following))


def worker_of(stage: str, generation: GenerationName) -> str:
    """Return the name of a generation's worker, of one that was created."""
    return f"{stage}-{generation}-0"


def generation_of(worker: str, first: GenerationName) -> GenerationName:
    """Return the generation that a worker works for."""
    middle = worker.split("-")[-2]
    return GenerationName(middle) if middle[0] == "g" and middle[1:].isdigit() else first


async def operate(operator: Operator) -> None:
    """Carry out one wish after the other until killed."""
    while True:
        while not operator.wishes:
            await pause(_LOOK_S)
        wish = operator.wishes[0]
        try:
            await _carry_out(wish, operator)
        except (GenerationRefusedError, RetryableError):
            await pause(_TRY_AGAIN_S)
            continue
        if wish in operator.wishes:  # another terminal may have done it meanwhile
            operator.wishes.remove(wish)
            operator.note(wish)


async def _carry_out(wish: Wish, operator: Operator) -> None:
    world, name = WORLD.get(), wish.generation
    proof = None  # what is created is proved to have nothing
    if wish.command != "create":
        proof = Proof(since_s=world.loop.time(), known_everywhere=wish.command == "switch")
    async with GenerationsDirectory.open(operator.settings) as directory:
        lifecycle = Lifecycle(
            settings=operator.settings,
            directory=_Noting(directory=directory, operator=operator, proof=proof),
            feeders=_Feeders(),
            prove=lambda generation, patience_s: _prove(operator.settings, generation, patience_s),
            describe=_describe,
        )
        known = await directory.read()
        exists = any(each.record.name == name for each in known.all)
        if wish.command == "create" and exists:  # it was killed before it had started the workers
            world.feed(name)
        elif wish.command == "create":
            await lifecycle.create(name, policy=wish.policy.text)
        elif wish.command == "switch" and known.serving != name:
            await lifecycle.switch(name, patience_s=_PATIENCE_S)
        elif wish.command == "roll_back" and known.serving == name:
            await lifecycle.roll_back(patience_s=_PATIENCE_S)


async def _prove(settings: Settings, generation: GenerationName, patience_s: float) -> None:
    await CatchUp(settings=settings, generation=generation, patience_s=patience_s).prove()


async def _describe(_: str) -> EmbeddingModel:
    return _MODEL


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noting:
    """Implements Records: the real ones, and notes since when each switch was on its way."""

    directory: GenerationsDirectory
    operator: Operator
    proof: Proof | None

    async def read(self) -> Generations:
        return await self.directory.read()

    async def put(self, record: Generation, *, over: Revision) -> Known:
        if self.proof is not None:  # of several terminals the first one may have written it
            self.operator.proofs.setdefault(record.switched, self.proof)
        return await self.directory.put(record, over=over)


class _Feeders:
    """Implements Feeders."""

    async def start(self, generation: GenerationName) -> None:
        WORLD.get().feed(generation)

    async def stop(self, generation: GenerationName) -> None:
        """No story drops a generation."""
