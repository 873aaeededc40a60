"""Migrations and rebuilds of a generation make its collection as long as its record says, whatever the setting is."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from headwater.cli import migrate
from headwater.generations import rebuilding
from headwater.generations.directory import GenerationsDirectory
from headwater.generations.positions import Way
from headwater.generations.rebuilding import Rebuild, Workers
from headwater.heads.directory_table import DirectoryTable
from headwater.settings import Settings
from schemas.events.base import Store
from schemas.ids import GenerationName, Revision
from tests.unit.generations.world import G1, G2, SECOND, World

OTHER = replace(SECOND, model="small", dimension=192)


@dataclass
class Migrators:
    """Notes for which generation and length a migrator was opened, and what it was asked for."""

    opened: list[tuple[GenerationName, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def open(self, settings: Settings) -> AsyncIterator["Migrators"]:
        self.opened.append((settings.generation, settings.milvus.dimension))
        yield self

    async def ensure(self, name: str) -> None:
        self.asked.append(f"ensure {name}")

    async def renew(self, name: str) -> None:
        self.asked.append(f"renew {name}")


class NoWorkers:
    """Implements Workers."""

    def without_index_stage(self, store: Store) -> AbstractContextManager[None]:
        return nullcontext()


@pytest.fixture
def migrators(world: World, monkeypatch: pytest.MonkeyPatch) -> Migrators:
    made = Migrators()

    @asynccontextmanager
    async def open_directory(_settings: Settings) -> AsyncIterator[World]:
        yield world

    async def nothing(*_: object, **__: object) -> None:
        pass

    async def end(*_: object) -> Way:
        return Way(done=1, total=1)

    monkeypatch.setattr(rebuilding, "open_migrator", made.open)
    monkeypatch.setattr(GenerationsDirectory, "open", open_directory)
    monkeypatch.setattr(Rebuild, "_require_free", nothing)
    monkeypatch.setattr(Rebuild, "_to_the_end", end)
    return made


async def test_a_rebuild_makes_the_collection_anew_as_long_as_it_was(world: World, migrators: Migrators) -> None:
    await world.put(OTHER, over=Revision(2))
    rebuild = Rebuild(
        settings=Settings(generation=G2),
        store=Store.VECTORS,
        workers=cast(Workers, NoWorkers()),
        report=lambda _name, _way: None,
    )
    await rebuild.afresh(wipe=True)
    await rebuild.resumed()
    assert migrators.opened == [(G2, 192), (G2, 192)]
    assert migrators.asked == ["renew vectors", "ensure vectors"]


async def test_a_migration_of_a_named_generation_goes_by_its_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.put(OTHER, over=Revision(2))

    async def read_directory(_settings: Settings) -> DirectoryTable:
        return world.table

    monkeypatch.setattr("headwater.generations.directory.read_directory", read_directory)
    lengths = []
    for name in (G1, G2, GenerationName("unknown")):
        own = await migrate._settings_of(name, Settings())
        lengths.append((own.generation, own.milvus.dimension))
    assert lengths == [(G1, 384), (G2, 192), ("unknown", 384)]
