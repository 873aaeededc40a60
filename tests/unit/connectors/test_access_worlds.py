"""Who may read what of random sites and organisations: exactly what the source's server shows each user.

The connector's word alone, so that many worlds cost seconds; `tests/e2e/test_source_access.py` asks the API.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from connectors.passes import passes_of
from connectors.protocol import Connector
from connectors.registry import connect
from connectors.work import CHANGES, Work
from headwater.access.clauses import permits
from headwater.clients.egress.client import Egress, open_egress
from headwater.settings import ConnectorSettings, EgressSettings
from schemas.events.directory import Source
from schemas.ids import SourceId, TenantId
from tests.support.callers import principals
from tests.support.heads import HANDBOOK
from tests.support.shared_worlds import EVERYBODY, LOOPBACK, READING, WORLDS, World
from tests.support.sources import Follower

SEEDS: Final = int(os.environ.get("HEADWATER_ACCESS_WORLDS", "2"))
SOURCE: Final = SourceId("world")
EGRESS: Final = EgressSettings(allowed_hosts=(LOOPBACK,), requests_per_s=100_000.0)


@dataclass(frozen=True, slots=True)
class Connected:
    """A world as a source of the directory. Implements Followed."""

    world: World
    egress: Egress

    def connector(self) -> Connector:
        record = Source(name="World", knowledge_base=HANDBOOK, **self.world.record)
        return connect((TenantId("default"), SOURCE), record, ConnectorSettings(), self.egress).connector

    def name_of(self, external_id: str) -> str:
        return external_id


class Readers:
    """One who follows a world, and whom what is known of it is for."""

    def __init__(self, world: World, egress: Egress) -> None:
        self.world, self._connected = world, Connected(world, egress)
        self.follower = Follower(self._connected)

    async def sync(self, work: Work) -> None:
        """Read what a worker reads for this work."""
        for each in passes_of(self._connected.connector(), work):
            await self.follower.submit(each.of(dict(self.follower.cursor)))
        assert self.follower.failed == {}

    def check(self) -> None:
        """Compare with the server, for each user."""
        for user in EVERYBODY:
            caller = principals(self.follower.groups, user, source=SOURCE)
            readable = {known for known, each in self.follower.documents.items() if permits(each.access, caller)}
            assert readable == self.world.shown_to(user), user


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in READING.items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def reading(kind: str, seed: int) -> AsyncIterator[Readers]:
    async with WORLDS[kind](seed) as world, open_egress(EGRESS) as egress:
        yield Readers(world, egress)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("kind", WORLDS)
async def test_each_user_may_read_what_the_server_shows_them(kind: str, seed: int) -> None:
    async with reading(kind, seed) as readers:
        await readers.sync(Work(full=True))
        readers.check()
        for _ in range(3):
            readers.world.reshare()
            await readers.sync(Work(permissions=True))
            readers.check()
            readers.world.live()
            await readers.sync(CHANGES)
            await readers.sync(Work(full=True))  # by which alone some deletions are told
            readers.check()
