"""Planning, applying and rolling back, with a record of what was applied."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

from elasticsearch import NotFoundError

from headwater.clients.elasticsearch.bulk import Create, Delete, write_all
from headwater.clients.elasticsearch.connection import open_client as open_elasticsearch
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.clients.milvus.connection import open_client as open_milvus
from headwater.errors import FatalError
from headwater.migrations import mappings
from headwater.migrations.indices import create_index, forbid_auto_creation
from headwater.migrations.model import Findings, Migration, MigrationState, PlannedMigration, Target
from headwater.migrations.steps import MIGRATIONS
from headwater.settings import Settings
from schemas.ids import GenerationName


class ForceNeededError(FatalError):
    """A migration would rewrite or destroy data, and nobody said that this is wanted."""


class Migrator:
    """Brings one installation and one generation to the newest mappings, or back.

    Safe to run twice, and in two processes at once: a step creates what is not there, and its record comes last.
    """

    def __init__(self, target: Target, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        self._target, self._migrations = target, migrations
        self._settings = target.settings.elasticsearch
        self._records = index_name(self._settings, Index.MIGRATIONS)

    async def plan(self) -> Sequence[PlannedMigration]:
        """Return every migration in order and whether it was applied. Changes nothing."""
        applied = await self._applied()
        return [self._planned(migration, applied) for migration in self._migrations]

    async def apply(self, *, force: bool = False) -> Sequence[PlannedMigration]:
        """Apply what is pending, in order; return it as applied. Raises ForceNeededError before anything is changed."""
        pending = await self.pending()
        rewriting = [planned for planned, migration in pending if migration.apply_rewrites]
        if rewriting and not force:
            raise ForceNeededError(_explain(rewriting, verb="apply"))
        await self._prepare()
        for _, migration in pending:
            findings = await migration.apply(self._target)
            await self._record(migration, findings)
        return [replace(planned, state=MigrationState.APPLIED) for planned, _ in pending]

    async def rollback(self, *, to: int, force: bool = False) -> Sequence[PlannedMigration]:
        """Revert every applied migration numbered above `to`, newest first; return them as pending.

        Raises ForceNeededError before anything is changed: going back always destroys what was written since.
        """
        reverting = await self.reverting(to=to)
        if reverting and not force:
            raise ForceNeededError(_explain([planned for planned, _ in reverting], verb="rollback"))
        await self._revert([migration for _, migration in reverting])
        return [replace(planned, state=MigrationState.PENDING) for planned, _ in reverting]

    async def remove_generation(self) -> None:
        """Revert what was applied for this generation alone, newest first: its stores go, what all share stays."""
        await self._revert([migration for _, migration in await self.reverting(to=0) if migration.per_generation])

    async def _revert(self, migrations: Sequence[Migration]) -> None:
        for migration in migrations:
            await migration.revert(self._target)
            await self._forget(migration)

    async def renew(self, name: str) -> None:
        """Revert one migration of the generation and apply it again: what it makes is there, and empty."""
        await self._named(name).revert(self._target)
        await self.ensure(name)

    async def ensure(self, name: str) -> None:
        """Create what one migration of the generation makes, where it is missing, whatever was recorded of it."""
        await self._prepare()
        migration = self._named(name)
        await self._record(migration, await migration.apply(self._target))

    def _named(self, name: str) -> Migration:
        (migration,) = (each for each in self._migrations if each.per_generation and each.name == name)
        return migration

    async def pending(self) -> Sequence[tuple[PlannedMigration, Migration]]:
        """Return what `apply` would run."""
        applied = await self._applied()
        return [
            (self._planned(migration, applied), migration)
            for migration in self._migrations
            if self._key(migration) not in applied
        ]

    async def reverting(self, *, to: int) -> Sequence[tuple[PlannedMigration, Migration]]:
        """Return what `rollback` would run."""
        applied = await self._applied()
        return [
            (self._planned(migration, applied, reverting=True), migration)
            for migration in reversed(self._migrations)
            if migration.number > to and self._key(migration) in applied
        ]

    async def _prepare(self) -> None:
        await forbid_auto_creation(self._target.elasticsearch, settings=self._settings)
        await create_index(
            self._target.elasticsearch,
            self._records,
            settings=self._settings,
            mappings=mappings.mapping(mappings.MIGRATIONS),
        )

    async def _applied(self) -> frozenset[str]:
        """Return the keys of recorded migrations."""
        async with translated(self._settings):
            try:
                response = await self._target.elasticsearch.mget(
                    index=self._records, ids=[self._key(migration) for migration in self._migrations], source=False
                )
            except NotFoundError:
                return frozenset()
        return frozenset(document["_id"] for document in response["docs"] if document.get("found"))

    async def _record(self, migration: Migration, findings: Findings) -> None:
        record = {
            "number": migration.number,
            "name": migration.name,
            "generation": self._generation(migration),
            "applied_at": datetime.now(UTC).isoformat(),
            "version": version("headwater"),
            "findings": dict(findings),
        }
        write = Create(index=self._records, key=self._key(migration), document=record)
        await write_all(self._target.elasticsearch, [write], settings=self._settings)

    async def _forget(self, migration: Migration) -> None:
        write = Delete(index=self._records, key=self._key(migration))
        await write_all(self._target.elasticsearch, [write], settings=self._settings)

    def _planned(self, migration: Migration, applied: frozenset[str], *, reverting: bool = False) -> PlannedMigration:
        return PlannedMigration(
            number=migration.number,
            name=migration.name,
            generation=self._generation(migration),
            state=MigrationState.APPLIED if self._key(migration) in applied else MigrationState.PENDING,
            warning=migration.revert_destroys if reverting else migration.apply_rewrites,
        )

    def _generation(self, migration: Migration) -> GenerationName | None:
        return self._target.generation if migration.per_generation else None

    def _key(self, migration: Migration) -> str:
        suffix = f"-{self._target.generation}" if migration.per_generation else ""
        return f"{migration.number:04d}{suffix}"


@asynccontextmanager
async def open_migrator(settings: Settings) -> AsyncIterator[Migrator]:
    """Open both stores for the generation of the settings."""
    async with open_elasticsearch(settings.elasticsearch) as elasticsearch, open_milvus(settings.milvus) as milvus:
        yield Migrator(
            Target(settings=settings, generation=settings.generation, elasticsearch=elasticsearch, milvus=milvus)
        )


def _explain(migrations: Sequence[PlannedMigration], *, verb: str) -> str:
    what = "; ".join(f"{planned.number} {planned.name}: {planned.warning}" for planned in migrations)
    return f"{verb} would rewrite or destroy data ({what}); look with --dry-run, then say --force"
