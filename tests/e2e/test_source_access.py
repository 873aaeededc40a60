"""Who finds what of a source, through the API on the real stack: exactly what the source's server shows each user."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import product
from typing import Final, TypeAlias
from uuid import uuid4

import pytest

from headwater.demo.stage import ActFailedError, wait_until
from tests.support.confluence_life import WORD
from tests.support.library import Library
from tests.support.own_loop import in_own_loop
from tests.support.platform import CONNECT, Platform
from tests.support.shared_worlds import EVERYBODY, READING, WORLDS, World

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SEEDS: Final = int(os.environ.get("HEADWATER_ACCESS_SEEDS", "1"))
MODES: Final = ("keyword", "vector", "hybrid")
Asked: TypeAlias = tuple[str, str]  # user and way
Unlike: TypeAlias = dict[Asked, tuple[set[str], set[str]]]  # what is missing, and what must not be there
ALL: Final[Sequence[Asked]] = list(product(EVERYBODY, (*MODES, "list")))


@pytest.fixture(scope="module")
def reading(platform: Platform) -> Iterator[Platform]:
    """A worker that may read the worlds, and the users in the directory."""
    platform.directory(*((f"users/{user}", {"name": user}) for user in EVERYBODY))
    with platform.child(*CONNECT, "worker", log="connectors", **READING) as worker:
        yield platform
        worker.terminate()  # it leaves the group: the next worker need not wait for its session to end
        worker.wait(30)


class Shelf:
    """A world as a source, and what the API answers of it."""

    def __init__(self, library: Library, world: World) -> None:
        self.library, self.world = library, world
        platform, name = library.platform, library.name
        platform.directory(
            (f"knowledge-bases/{name}", {"name": name}),
            (f"sources/{name}", {"name": name, "knowledge_base": name, **world.record}),
        )
        self._synced_at: str | None = None

    def sync(self, mode: str) -> None:
        """Ask for a sync, and wait until it has ended well."""
        ended = self.library.synced(mode, after=self._synced_at)
        assert (ended["ending"], ended["failed"]) == ("completed", [])
        self._synced_at = ended["started_at"]

    def found(self, user: str, way: str) -> set[str]:
        """Return what a user finds, as external ids: by a search in one of the modes, or in the list of documents."""
        if way != "list":
            return self.library.found(WORD, user=user, mode=way, top_k=100)
        asked = {"knowledge_base": self.library.name, "limit": 200}
        listed = self.library.platform.acting_as(user).call("GET", "/documents", params=asked)
        return {each["external_id"] for each in listed["documents"]}

    def unlike(self, asked: Iterable[Asked] = ALL) -> Unlike:
        """Return where the API's answers are not the server's."""
        unlike: Unlike = {}
        for user, way in asked:
            truth, found = self.world.shown_to(user), self.found(user, way)
            if found != truth:
                unlike[user, way] = (truth - found, found - truth)
        return unlike

    def check(self, *, opens: bool) -> None:
        """Wait until all answers are the server's; and, where nobody lost a right, at no time more than these."""
        asked: Collection[Asked] = ALL

        def like() -> bool:
            nonlocal asked
            unlike = self.unlike(asked)
            assert not opens or not any(more for _, more in unlike.values()), unlike
            asked = unlike.keys()
            return not asked

        with suppress(ActFailedError):
            wait_until("the API to answer as the server decides", like)
        assert self.unlike() == {}


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("kind", WORLDS)
def test_each_user_finds_what_the_server_shows_them(reading: Platform, kind: str, seed: int) -> None:
    with in_own_loop(WORLDS[kind](seed)) as world:
        shelf = Shelf(Library(platform=reading, name=f"world-{uuid4().hex[:10]}"), world)
        shelf.sync("full")
        shelf.check(opens=True)
        before = {user: world.shown_to(user) for user in EVERYBODY}
        while before == {user: world.shown_to(user) for user in EVERYBODY}:
            world.reshare()
        shelf.sync("permissions")
        shelf.check(opens=False)

        world.live()
        shelf.sync("incremental")
        shelf.check(opens=False)
