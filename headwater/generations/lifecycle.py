"""Making, switching and dropping generations: what `headwater generations` does."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias

from headwater.clients.elasticsearch.names import chunks_name
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.topics import create_topics
from headwater.clients.milvus.collection import collection_name
from headwater.clients.triton.embedder import require
from headwater.errors import RetryableError
from headwater.generations.models import chunks_need_of, require_storable, settings_of
from headwater.generations.policy import parse_policy
from headwater.generations.records import GenerationRefusedError, Generations, Known, new_generation
from headwater.local import applications
from headwater.migrations import open_migrator
from headwater.ports.models import EmbeddingModel
from headwater.settings import Settings
from schemas.events.directory import Generation, GenerationState
from schemas.ids import GenerationName, Revision
from schemas.topics import PER_GENERATION

_GROUPS: Final = (*applications.PER_GENERATION, "rebuild-keywords", "rebuild-vectors")
_LOOK_EVERY_S: Final = 0.5
# Returns once a generation has all that the log had, within so many seconds; NotCaughtUpError else.
Prove: TypeAlias = Callable[[GenerationName, float], Awaitable[None]]
# Returns what the model server has under a name; FatalError where it has none, RetryableError where it is away.
Describe: TypeAlias = Callable[[str], Awaitable[EmbeddingModel]]


class Records(Protocol):
    """Reads and writes generation records: see GenerationsDirectory."""

    async def read(self) -> Generations:
        """Return all generations as of now."""
        ...

    async def put(self, record: Generation, *, over: Revision) -> Known:
        """Write a record over the revision that was read; GenerationRefusedError when somebody else was quicker."""
        ...


class Feeders(Protocol):
    """Who runs a generation's workers: the embedded stack, or an operator, who is told what to do."""

    async def start(self, generation: GenerationName) -> None:
        """Start one worker for each stage of a generation, or say that they are to be started."""
        ...

    async def stop(self, generation: GenerationName) -> None:
        """Stop them for good, or say that they are to be stopped."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The commands on generations, on an installation that the settings name."""

    settings: Settings
    directory: Records
    feeders: Feeders
    prove: Prove
    describe: Describe

    async def create(self, name: GenerationName, *, policy: str, model: str | None = None) -> Known:
        """Make a generation's topics and stores, describe it in the directory and have it built beside the others.

        `model` is what the model server calls it; None for that of the generation that serves. Raises PolicyError or
        FatalError for a policy, a model or a name that cannot be, GenerationRefusedError for a name that was used
        before: reports of the log would be taken for the new one's.
        """
        collection_name(self.settings.milvus, name)
        chunks_name(self.settings.elasticsearch, name)
        generations = await self.directory.read()
        if any(each.record.name == name for each in generations.all):
            raise GenerationRefusedError(f"{name} is, or was, a generation: choose another name")
        serving = generations.get(generations.serving)
        record = await self._described(name, policy, model or serving.record.model)
        await create_topics(self.settings, generation=name)
        async with open_migrator(settings_of(record, self.settings)) as migrator:
            await migrator.apply()
        if not serving.revision:  # from now on a worker without a record is a mistake
            await self.directory.put(serving.record, over=serving.revision)
        made = await self.directory.put(record, over=Revision(0))
        await self.feeders.start(name)
        return made

    async def switch(self, name: GenerationName, *, patience_s: float) -> Known:
        """Let a generation serve, on all replicas by one record.

        Raises NotCaughtUpError where it lacks something, FatalError where its model is not served, or another one is,
        GenerationRefusedError where somebody else switched meanwhile.

        Between proof and record the staleness budget passes: a replica that follows the record before it has read the
        reports that the proof rests on would find nothing; after that long it refuses to answer instead.
        """
        seen = await self.directory.read()
        record = _ready(seen, name)
        require(await self.describe(record.model), chunks_need_of(record))
        await self.prove(name, patience_s)
        await asyncio.sleep(self.settings.heads.staleness_budget_s)
        return await self._switch(name, seen)

    async def roll_back(self, *, patience_s: float) -> Known:
        """Let the generation serve again that served before: at once, because it was fed all the time.

        Raises NotCaughtUpError where it was not, FatalError where its model is gone. A model server that is away stops
        nobody from going back: the other generation's model may be the reason.
        """
        seen = await self.directory.read()
        name = seen.previous.record.name
        record = _ready(seen, name)
        with suppress(RetryableError):
            require(await self.describe(record.model), chunks_need_of(record))
        await self.prove(name, patience_s)
        return await self._switch(name, seen)

    async def drop(self, name: GenerationName) -> None:
        """Remove a generation for good: its workers, positions, topics, index, collection and their records.

        Its directory record stays, as retired: the name is not used twice. Raises GenerationRefusedError for the one
        that serves, and while workers that are not ours to stop still run. Safe to repeat.
        """
        generations = await self.directory.read()
        known = generations.get(name)
        if generations.serving == name:
            raise GenerationRefusedError(f"{name} serves: switch to another generation first")
        if known.record.state is not GenerationState.RETIRED:
            await self.directory.put(replace(known.record, state=GenerationState.RETIRED), over=known.revision)
        await self.feeders.stop(name)
        admin = KafkaAdmin(self.settings.kafka)
        groups = [group_of(self.settings, stage, generation=name) for stage in _GROUPS]
        await self._until_left(admin, groups)
        await admin.forget_groups(groups)
        topics = {topic_of(self.settings, topic, generation=name) for topic in PER_GENERATION}
        await admin.delete(topics & await admin.topic_names())
        async with open_migrator(settings_of(known.record, self.settings)) as migrator:
            await migrator.remove_generation()

    async def _switch(self, name: GenerationName, seen: Generations) -> Known:
        generations = await self.directory.read()
        if generations.switches != seen.switches:  # a rollback that came in between would be undone (ADR 0153)
            raise GenerationRefusedError(
                f"{generations.serving} was switched to meanwhile: look with `headwater generations list`, then decide "
                "again"
            )
        return await self.directory.put(generations.switched_to(name), over=generations.get(name).revision)

    async def _described(self, name: GenerationName, policy: str, model: str) -> Generation:
        """Return the record of a new generation. Its collection is made for the vectors that the server returns."""
        parse_policy(policy, max_tokens=None)  # what is wrong with any model is said before the server is asked
        found = await self.describe(model)
        require_storable(found)
        return new_generation(
            name,
            policy=parse_policy(policy, max_tokens=found.max_tokens).text,
            created_at=datetime.now(UTC),
            model=found.name,
            dimension=found.dimension,
        )

    async def _until_left(self, admin: KafkaAdmin, groups: list[str]) -> None:
        leaving_s = self.settings.stages.grace_s + self.settings.kafka.session_timeout_s  # gracefully, or killed
        for _ in range(round(leaving_s / _LOOK_EVERY_S)):
            left = [group for group in groups if await admin.members(group)]
            if not left:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        raise GenerationRefusedError(f"{', '.join(left)} have members: stop these workers, then drop again")


def _ready(generations: Generations, name: GenerationName) -> Generation:
    record = generations.get(name).record
    if generations.serving == name:
        raise GenerationRefusedError(f"{name} serves already")
    if record.state is GenerationState.RETIRED:
        raise GenerationRefusedError(f"{name} was dropped: create a new generation")
    if record.rebuilding:
        raise GenerationRefusedError(f"{record.rebuilding[0]} of {name} are being rebuilt: wait for it")
    return record
