"""Emptying one store of a generation and filling it again, while the other store answers.

The directory says which store is away, so that no replica asks it and every answer says so; the log is read again from
its beginning by workers of their own (`python -m streams rebuild-keywords`, `rebuild-vectors`), whose group is
forgotten first.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Final, Protocol

from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.config import group_of, topic_of
from headwater.generations.directory import GenerationsDirectory
from headwater.generations.models import settings_of
from headwater.generations.positions import Positions, Way
from headwater.generations.records import GenerationRefusedError
from headwater.migrations import open_migrator
from headwater.settings import Settings
from schemas.events.base import Store
from schemas.events.directory import Generation
from schemas.topics import Topic

MIGRATION_OF: Final = {Store.KEYWORDS: "chunks", Store.VECTORS: "vectors"}
_LOOK_EVERY_S: Final = 0.5


class Workers(Protocol):
    """Who starts and stops processes: the embedded stack, or nobody, where an operator does."""

    def without_index_stage(self, store: Store) -> AbstractContextManager[None]:
        """Keep the stage that writes the store stopped, where it can be."""
        ...

    def rebuilding(self, store: Store) -> AbstractContextManager[Callable[[], None]]:
        """Run a worker that rebuilds; what is yielded raises FatalError once it has died."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """One rebuild of one store of the settings' generation."""

    settings: Settings
    store: Store
    workers: Workers
    report: Callable[[str, Way], None]

    @property
    def group(self) -> str:
        """The consumer group of the rebuild's workers."""
        return group_of(self.settings, f"rebuild-{self.store}", generation=self.settings.generation)

    async def afresh(self, *, wipe: bool) -> Way:
        """Rebuild from the beginning of the log; return what was read.

        `wipe` empties the store first and needs its index stage stopped; without it, missing rows are added to those
        there are. Until the end the directory says that the store is away, also when this is interrupted. Raises
        GenerationRefusedError, and changes nothing, where something is in the way.
        """
        stopped = self.workers.without_index_stage(self.store) if wipe else nullcontext()
        with stopped:
            async with GenerationsDirectory.open(self.settings) as directory:
                await self._require_free(wipe=wipe)
                record = await self._mark(directory)
                async with open_migrator(settings_of(record, self.settings)) as migrator:
                    await (migrator.renew if wipe else migrator.ensure)(MIGRATION_OF[self.store])
                return await self._to_the_end(directory)

    async def resumed(self) -> Way:
        """Go on with a rebuild that was interrupted. Raises GenerationRefusedError where there is none."""
        async with GenerationsDirectory.open(self.settings) as directory:
            known = (await directory.read()).get(self.settings.generation)
            if self.store not in known.record.rebuilding:
                raise GenerationRefusedError(f"no rebuild of {self.store} was interrupted: leave out --resume")
            async with open_migrator(settings_of(known.record, self.settings)) as migrator:
                await migrator.ensure(MIGRATION_OF[self.store])
            return await self._to_the_end(directory)

    async def _require_free(self, *, wipe: bool) -> None:
        """Refuse beside another rebuild and, before a wipe, beside the index stage; then forget the last rebuild.

        The index stage would take rows that were emptied under it for lost, and park their revision.
        """
        admin = KafkaAdmin(self.settings.kafka)
        if await admin.members(self.group):
            raise GenerationRefusedError(f"{self.group} has members: stop the workers of the other rebuild first")
        index = group_of(self.settings, f"index-{self.store}", generation=self.settings.generation)
        if wipe and not await self._is_left(admin, index):
            raise GenerationRefusedError(
                f"{index} has members: stop the workers of index-{self.store} until the rebuild has ended, or keep "
                "the rows that are there (--keep-rows)"
            )
        await admin.forget_groups([self.group])

    async def _is_left(self, admin: KafkaAdmin, group: str) -> bool:
        """Say whether a group has no members, waiting for one that was stopped just now."""
        leaving_s = self.settings.stages.grace_s + self.settings.kafka.session_timeout_s  # gracefully, or killed
        for _ in range(round(leaving_s / _LOOK_EVERY_S)):
            if not await admin.members(group):
                return True
            await asyncio.sleep(_LOOK_EVERY_S)
        return False

    async def _mark(self, directory: GenerationsDirectory) -> Generation:
        generations = await directory.read()
        known = generations.get(self.settings.generation)
        if under_way := known.record.rebuilding:
            raise GenerationRefusedError(
                f"{under_way[0]} of {known.record.name} are being rebuilt: wait for it, or go on with "
                f"`headwater rebuild {under_way[0]} --generation {known.record.name} --resume` if it was interrupted"
            )
        await directory.put(replace(known.record, rebuilding=(self.store,)), over=known.revision)
        if generations.serving == known.record.name:
            # A replica that has not read this by then is past its budget and refuses to answer at all.
            await asyncio.sleep(self.settings.heads.staleness_budget_s)
        return known.record

    async def _to_the_end(self, directory: GenerationsDirectory) -> Way:
        way = await self._follow()
        known = (await directory.read()).get(self.settings.generation)
        rest = tuple(each for each in known.record.rebuilding if each is not self.store)
        await directory.put(replace(known.record, rebuilding=rest), over=known.revision)
        return way

    async def _follow(self) -> Way:
        positions = Positions(self.settings)
        # As of now: the store is empty, and whatever is appended from here on is written by the index stage, too.
        ends = await positions.ends(topic_of(self.settings, Topic.DOCUMENTS_CHANGED))
        with self.workers.rebuilding(self.store) as require_alive:
            while True:
                way = await positions.way(self.group, ends)
                self.report(f"{self.store} of {self.settings.generation}", way)
                if not way.left:
                    return way
                require_alive()
                await asyncio.sleep(_LOOK_EVERY_S)
