"""Random sites and organisations for a connector worker: what they hold, and what they show to each user."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol

from tests.support.confluence_cloud import EMAIL, CloudServer
from tests.support.confluence_life import PEOPLE, WORD, Life, settle
from tests.support.confluence_server import TOKEN as WIKI_TOKEN
from tests.support.confluence_server import ConfluenceServer, address, serving
from tests.support.confluence_wiki import Wiki
from tests.support.egress import FakeClock
from tests.support.github_server import TOKEN as CODE_TOKEN
from tests.support.github_server import GithubServer, github_server
from tests.support.github_state import ORGANISATION, FakeTeam, Repo

LOOPBACK: Final = "127.0.0.1"
STRANGER: Final = "stranger"  # a user of the directory without an account at any source
EVERYBODY: Final = (*PEOPLE, STRANGER)
# What a connector worker is started with to read these worlds.
READING: Final = {
    "HEADWATER_EGRESS__ALLOWED_HOSTS": f'["{LOOPBACK}"]',
    "HEADWATER_EGRESS__REQUESTS_PER_S": "1000",
    "HEADWATER_SECRET__DEFAULT__WIKI": WIKI_TOKEN,
    "HEADWATER_SECRET__DEFAULT__CODE": CODE_TOKEN,
}


class World(Protocol):
    """A fake server that lives. Every text in it has the word WORD."""

    @property
    def record(self) -> Mapping[str, Any]:
        """Return kind, settings and secrets of the source in the directory."""
        ...

    def reshare(self) -> None:
        """Let much change in who may read, and nothing else."""
        ...

    def live(self) -> None:
        """Let things come, move and go too."""
        ...

    def shown_to(self, user: str) -> set[str]:
        """Decide as the server does; return external ids."""
        ...


class WikiWorld:
    """Implements World: spaces, restrictions at every level, groups in groups where the site has them."""

    def __init__(self, server: ConfluenceServer, dice: random.Random) -> None:
        self._server, self._wiki = server, server.wiki
        self._life = Life(server.wiki, dice, nests=not isinstance(server, CloudServer))
        settle(server.wiki)
        for _ in range(18):
            self._life.write()
        self.reshare()

    @property
    def record(self) -> Mapping[str, Any]:
        dialect = {"deployment": "cloud", "email": EMAIL} if isinstance(self._server, CloudServer) else {}
        settings = dialect or {"by_username": "true"}
        return {
            "kind": "confluence",
            "settings": {"url": address(self._server), **settings},
            "secrets": {"token": "env:wiki"},
        }

    def reshare(self) -> None:
        for _ in range(20):
            self._life.reshare()

    def live(self) -> None:
        for _ in range(20):
            self._life.step()

    def shown_to(self, user: str) -> set[str]:
        account = user if user in PEOPLE else None
        return {each for each in self._wiki.pieces if self._wiki.may_view(account, each)}


class CodeWorld:
    """Implements World: repositories of every visibility, shared with accounts, teams, and teams in teams."""

    def __init__(self, server: GithubServer, dice: random.Random) -> None:
        self._server, self._state, self._dice = server, server.state, dice
        self._teams: list[FakeTeam] = [self._state.add_team("outer", set())]
        self._teams.append(self._state.add_team("inner", set(), parent=self._teams[0].id))
        self._made = 0
        for _ in range(7):
            self._make()
        self.reshare()

    @property
    def record(self) -> Mapping[str, Any]:
        users = ", ".join(f"{_login(user)}: {user}" for user in PEOPLE)
        settings = {
            "url": self._server.url,
            "organisation": ORGANISATION,
            "public": "everyone",
            "users": f"{{{users}}}",
            "wikis": "true",
            "releases": "true",
            "discussions": "true",
        }
        return {"kind": "github", "settings": settings, "secrets": {"token": "env:code"}}

    def reshare(self) -> None:
        for _ in range(20):
            self._dice.choice((self._shared, self._shared, self._joined, self._seen, self._enrolled, self._opened))()

    def live(self) -> None:
        for _ in range(6):
            self._dice.choice((self._make, self._edited, self._moved, self._removed))()
        self.reshare()

    def shown_to(self, user: str) -> set[str]:
        found: set[str] = set()
        for repo in self._state.repos.values():
            readers = self._state.readers(repo)
            if "*" in readers or _login(user) in readers:
                found |= _held(repo)
        return found

    def _make(self) -> None:
        self._made += 1
        repo = self._state.add_repo(f"made-{self._made}")
        repo.put("docs/a.md", self._text())
        repo.put("b.md", self._text())
        more: list[Callable[[], object]] = [
            lambda: repo.wiki.put("Home.md", self._text()),
            lambda: self._state.new_issue(repo, "Issue", self._text().decode()),
            lambda: self._state.new_release(repo, "v1", self._text().decode()),
            lambda: self._state.new_discussion(repo, "Talk", self._text().decode()),
        ]
        self._dice.choice(more)()

    def _text(self) -> bytes:
        return f"{WORD} {self._dice.random()}\n".encode()

    def _edited(self) -> None:
        self._some().put("b.md", self._text())

    def _moved(self) -> None:
        repo = self._some()
        self._state.rename(repo, f"renamed-{repo.id}-{self._made}")

    def _removed(self) -> None:
        if len(self._state.repos) > 3:
            del self._state.repos[self._some().id]

    def _shared(self) -> None:
        repo = self._some()
        if self._dice.random() < 0.5:
            repo.direct ^= {self._account()}
        else:
            repo.teams ^= {self._dice.choice(self._teams).id}

    def _joined(self) -> None:
        self._dice.choice(self._teams).members ^= {self._account()}

    def _seen(self) -> None:
        self._some().visibility = self._dice.choice(("private", "private", "private", "internal", "public"))

    def _enrolled(self) -> None:
        account = self._account()
        if account in self._state.members:
            del self._state.members[account]
        else:
            self._state.members[account] = self._dice.choice(("member", "member", "admin"))

    def _opened(self) -> None:
        self._state.base_permission = self._dice.choice(("none", "none", "read"))

    def _some(self) -> Repo:
        return self._dice.choice(list(self._state.repos.values()))

    def _account(self) -> str:
        return _login(self._dice.choice((*PEOPLE, "nobody-here")))


def _login(user: str) -> str:
    return f"{user}-hub"


def _held(repo: Repo) -> set[str]:
    wiki = repo.wiki.files() if repo.has_wiki else {}
    names = [
        *(f"file/{path}" for path in repo.files()),
        *(f"issue/{number}" for number in repo.talk()),
        *(f"release/{number}" for number in repo.releases),
        *(f"discussion/{number}" for number in (repo.discussions if repo.has_discussions else ())),
        *(f"wiki/{path}" for path in wiki),
    ]
    return {f"repo:{repo.id}/{name}" for name in names}


def _telling(world: World) -> World:
    """Let who may read change until it differs: a world that is alike for all tells nothing."""
    while len({frozenset(world.shown_to(user)) for user in EVERYBODY}) < 3:
        world.reshare()
    return world


@asynccontextmanager
async def _wiki_world(kind: type[ConfluenceServer], seed: int) -> AsyncIterator[World]:
    async with serving(kind(Wiki(clock=FakeClock()))) as server:
        server.url = server.url.replace("wiki.test", LOOPBACK)
        server.page_size = 5
        yield _telling(WikiWorld(server, random.Random(seed)))


@asynccontextmanager
async def _code_world(seed: int) -> AsyncIterator[World]:
    async with github_server() as server:
        server.url = server.url.replace("github.test", LOOPBACK)
        yield _telling(CodeWorld(server, random.Random(seed)))


WORLDS: Final[Mapping[str, Callable[[int], AbstractAsyncContextManager[World]]]] = {
    "confluence data center": lambda seed: _wiki_world(ConfluenceServer, seed),
    "confluence cloud": lambda seed: _wiki_world(CloudServer, seed),
    "github": _code_world,
}
