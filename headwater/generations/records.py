"""What the directory says of generations: the newest record of each, and which of them serves."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from headwater.clients.triton.embedding_model import DIMENSION, NAME
from headwater.errors import FatalError
from headwater.generations.policy import DEFAULT_POLICY
from headwater.ports.heads import Directory
from schemas.events.directory import DirectoryKind, Generation, GenerationState
from schemas.ids import SYSTEM_TENANT, GenerationName, Revision

PARSER: Final = "headwater"


class GenerationRefusedError(FatalError):
    """A generation is not in the state that a command needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A record with its revision; 0 for one that no command has written yet."""

    record: Generation
    revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Generations:
    """All generations of an installation, ordered by name, and the one that serves."""

    all: tuple[Known, ...]
    serving: GenerationName

    @classmethod
    def of(cls, directory: Directory, *, default: GenerationName) -> Self:
        """Read the records; `default` serves, with the built-in policy, where nothing was ever switched."""
        known = known_generations(directory)
        serving = directory.serving_generation() or default
        if all(each.record.name != serving for each in known):
            first = Known(record=first_generation(default), revision=Revision(0))
            known = tuple(sorted((*known, first), key=lambda each: each.record.name))
        return cls(all=known, serving=serving)

    def get(self, name: GenerationName) -> Known:
        """Return one; GenerationRefusedError names those there are."""
        for each in self.all:
            if each.record.name == name:
                return each
        names = ", ".join(each.record.name for each in self.all)
        raise GenerationRefusedError(f"there is no generation {name!r}: choose from {names}")

    @property
    def switches(self) -> int:
        """The number of the newest switch."""
        return max(each.record.switched for each in self.all)

    @property
    def previous(self) -> Known:
        """The generation that served before, still fed. GenerationRefusedError where there is none."""
        others = [
            each
            for each in self.all
            if each.record.state is GenerationState.SERVING and each.record.name != self.serving
        ]
        if not others:
            raise GenerationRefusedError(f"nothing served before {self.serving}: there is nothing to go back to")
        return max(others, key=lambda each: each.record.switched)

    def switched_to(self, name: GenerationName) -> Generation:
        """Return the record that makes a generation serve: the one event that all replicas follow."""
        return replace(self.get(name).record, state=GenerationState.SERVING, switched=self.switches + 1)


def known_generations(directory: Directory) -> tuple[Known, ...]:
    """Return the generations that have a record, ordered by name."""
    entries = directory.list(SYSTEM_TENANT, DirectoryKind.GENERATION)
    return tuple(
        Known(record=entry.record, revision=entry.revision) for entry in entries if isinstance(entry.record, Generation)
    )


def first_generation(name: GenerationName) -> Generation:
    """Return what an installation begins with: no command has made it, so nothing of it is history."""
    return Generation(
        name=name,
        state=GenerationState.SERVING,
        parser=PARSER,
        policy=DEFAULT_POLICY.text,
        model=NAME,
        dimension=DIMENSION,
        switched=1,
    )


def new_generation(
    name: GenerationName,
    *,
    policy: str,
    created_at: datetime,
    model: str = NAME,
    dimension: int = DIMENSION,
) -> Generation:
    """Return a generation that is to be built; its embedding model is the built-in one unless told."""
    return Generation(
        name=name,
        state=GenerationState.BUILDING,
        parser=PARSER,
        policy=policy,
        model=model,
        dimension=dimension,
        created_at=created_at,
    )


def record_of(directory: Directory, name: GenerationName) -> Generation:
    """Return a generation as this replica knows it: with the built-in policy and model where it has no record."""
    entry = directory.get(SYSTEM_TENANT, DirectoryKind.GENERATION, name)
    if entry is not None and isinstance(entry.record, Generation):
        return entry.record
    return first_generation(name)
