"""Making, switching and dropping generations: what `headwater generations` does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias

from headwater.clients.elasticsearch.names import chunks_name
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.clients.kafka.topics import create_topics
from headwater.clients.milvus.collection import collection_name
from headwater.generations.policy import parse_policy
from headwater.generations.records import GenerationRefusedError, Generations, Known, new_generation
from headwater.local import applications
from headwater.migrations import open_migrator
from headwater.settings import Settings
from schemas.events.directory import Generation, GenerationState
from schemas.ids import GenerationName, Revision
from schemas.topics import PER_GENERATION

_GROUPS: Final = (*applications.PER_GENERATION, "rebuild-keywords", "rebuild-vectors")
_LOOK_EVERY_S: Final = 0.5
# Returns once a generation has all that the log had, within so many seconds; NotCaughtUpError else.
Prove: TypeAlias = Callable[[GenerationName, float], Awaitable[None]]


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

    async def create(self, name: GenerationName, *, policy: str) -> Known:
        """Make a generation's topics and stores, describe it in the directory and have it built beside the others.

        Raises PolicyError or FatalError for a policy or a name that cannot be, GenerationRefusedError for a name that
        was used before: reports of the log would be taken for the new one's.
        """
        text = parse_policy(policy).text
        collection_name(self.settings.milvus, name)
        chunks_name(self.settings.elasticsearch, name)
        generations = await self.directory.read()
        if any(each.record.name == name for each in generations.all):
            raise GenerationRefusedError(f"{name} is, or was, a generation: choose another name")
        await create_topics(self.settings, generation=name)
        async with open_migrator(self._of(name)) as migrator:
            await migrator.apply()
        serving = generations.get(generations.serving)
        if not serving.revision:  # from now on a worker without a record is a mistake
            await self.directory.put(serving.record, over=serving.revision)
        made = await self.directory.put(
            new_generation(name, policy=text, created_at=datetime.now(UTC)), over=Revision(0)
        )
        await self.feeders.start(name)
        return made

    async def switch(self, name: GenerationName, *, patience_s: float) -> Known:
        """Let a generation serve, on all replicas by one record. Raises NotCaughtUpError where it lacks something.

        Between proof and record the staleness budget passes: a replica that follows the record before it has read the
        reports that the proof rests on would find nothing; after that long it refuses to answer instead.
        """
        await self._require_ready(name)
        await self.prove(name, patience_s)
        await asyncio.sleep(self.settings.heads.staleness_budget_s)
        return await self._switch(name)

    async def roll_back(self, *, patience_s: float) -> Known:
        """Let the generation serve again that served before: at once, because it was fed all the time.

        Raises NotCaughtUpError where it was not.
        """
        name = (await self.directory.read()).previous.record.name
        await self._require_ready(name)
        await self.prove(name, patience_s)
        return await self._switch(name)

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
        async with open_migrator(self._of(name)) as migrator:
            await migrator.remove_generation()

    async def _switch(self, name: GenerationName) -> Known:
        generations = await self.directory.read()
        return await self.directory.put(generations.switched_to(name), over=generations.get(name).revision)

    async def _require_ready(self, name: GenerationName) -> None:
        generations = await self.directory.read()
        record = generations.get(name).record
        if generations.serving == name:
            raise GenerationRefusedError(f"{name} serves already")
        if record.state is GenerationState.RETIRED:
            raise GenerationRefusedError(f"{name} was dropped: create a new generation")
        if record.rebuilding:
            raise GenerationRefusedError(f"{record.rebuilding[0]} of {name} are being rebuilt: wait for it")

    async def _until_left(self, admin: KafkaAdmin, groups: list[str]) -> None:
        leaving_s = self.settings.stages.grace_s + self.settings.kafka.session_timeout_s  # gracefully, or killed
        for _ in range(round(leaving_s / _LOOK_EVERY_S)):
            left = [group for group in groups if await admin.members(group)]
            if not left:
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        raise GenerationRefusedError(f"{', '.join(left)} have members: stop these workers, then drop again")

    def _of(self, name: GenerationName) -> Settings:
        return self.settings.model_copy(update={"generation": name})
