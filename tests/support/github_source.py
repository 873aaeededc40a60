"""GitHub as a source of the connectors' suite: an item is a repository with one file, for access is a repository's."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

from pydantic import SecretStr

from connectors.github.app import AppSignature, Installation
from connectors.github.client import GithubClient
from connectors.github.connector import GithubConnector
from connectors.github.git_access import GIT_USER, InstallationForGit
from headwater.clients.egress.client import Egress
from headwater.clients.egress.credentials import BasicCredential, BearerCredential
from headwater.clients.egress.requests import Credential
from headwater.sources.github import GithubSettings
from schemas.ids import KnowledgeBaseId, SourceId
from tests.support.egress import FakeClock, egress
from tests.support.github_app import pem
from tests.support.github_server import TOKEN, GithubServer, github_server
from tests.support.github_state import ORGANISATION, FakeDiscussion, FakeIssue, FakeRelease, GithubState, Repo
from tests.support.retold import AbleConnector
from tests.support.sources import Follower
from tests.support.troubles import DATES_BACK

PATH = "docs/doc.md"
USERS = {"ann-hub": "ann", "lea-hub": "lea", "bob-hub": "bob"}
PAGE_ITEMS = 3
S = TypeVar("S", bound="GithubSource")


class GithubSource:
    """Implements SourceHarness on a fake server. `settings` hold from now on."""

    shares_by_group: Final = True
    lacks: ClassVar[Mapping[str, str]] = {DATES_BACK: "files are compared by the ids of commits, whatever their dates"}

    def __init__(self, server: GithubServer, opened: Egress, clock: FakeClock) -> None:
        self.server, self.clock, self.egress = server, clock, opened
        self.settings: dict[str, Any] = {"organisation": ORGANISATION, "public": "everyone", "users": USERS}
        self._leads = server.state.add_team("leads", {"lea-hub"})
        self._shares: dict[str, tuple[str, ...]] = {}
        self._names: dict[int, str] = {}
        self._acts: dict[str, Callable[[], None]] = {}
        self._reading = False
        self.skew = timedelta()  # of our clock to the server's
        self.clock_ns: Callable[[], int] = time.time_ns
        self.key = ""
        server.on_read = self._about_to_read

    @property
    def state(self) -> GithubState:
        return self.server.state

    @property
    def downloads(self) -> int:
        return sum("/git/blobs/" in each for each in self.server.requests)

    def connector(self) -> AbleConnector:
        return self.github()

    def github(self) -> GithubConnector:
        """Return the connector as it is."""
        settings = GithubSettings(url=self.server.url, **self.settings)
        installation = self._installation(settings)
        token = BearerCredential(name="secrets.token", read=lambda: SecretStr(TOKEN))
        source = self.egress.source(home=settings.home, credential=installation or token)
        return GithubConnector(
            installation=installation,
            client=GithubClient(
                source,
                graphql_url=settings.graphql_url,
                git=self.egress.source(home=settings.git_url, credential=self._for_git(installation)),
                page_items=PAGE_ITEMS,
                compared_files=self.server.compared_files,
            ),
            settings=settings,
            source=SourceId("github"),
            knowledge_base=KnowledgeBaseId("code"),
            clock_ns=self.clock_ns,
        )

    def _installation(self, settings: GithubSettings) -> Installation | None:
        if settings.app is None or settings.installation is None:
            return None
        signature = AppSignature(app=settings.app, key=lambda: SecretStr(self.key), now=self._now)
        as_app = self.egress.source(home=settings.home, credential=signature, for_credential=True)
        return Installation(number=settings.installation, app=settings.app, as_app=as_app, now=self._now)

    def _for_git(self, installation: Installation | None) -> Credential:
        if installation is not None:
            return InstallationForGit(installation=installation)
        return BasicCredential(name="secrets.token", user=GIT_USER, read=lambda: SecretStr(TOKEN))

    def _now(self) -> datetime:
        return self.state.now + self.skew

    def become_app(self) -> None:
        """Read what an app's installation may read, in place of an organisation by a personal token."""
        del self.settings["organisation"]
        self.settings |= {"app": self.server.app.app, "installation": str(self.server.app.installation)}
        self.key, self.server.token = pem(), "nobody's"

    def put(self, name: str, text: str) -> None:
        repo = self.repo(name)
        if repo is None:
            repo = self.state.add_repo(_repo_name(name))
            self._names[repo.id] = name
            self._let_in(repo, self._shares.get(name, ()))
        self._write(repo, text.encode())

    def _write(self, repo: Repo, text: bytes) -> None:
        # While it is read: its history is rewritten, and what was there is collected.
        repo.put(PATH, text, forced=self._reading)
        if self._reading:
            repo.forget()

    def _read(self, repo: Repo) -> bytes:
        return repo.files()[PATH]

    def rename(self, old: str, new: str) -> None:
        repo = self._existing(old)
        self.state.rename(repo, _repo_name(new))
        self._names[repo.id] = new

    def delete(self, name: str) -> None:
        del self.state.repos[self._existing(name).id]

    def share(self, name: str, readers: Sequence[str]) -> None:
        self._shares[name] = tuple(readers)
        repo = self.repo(name)
        if repo is not None:
            self._let_in(repo, readers)

    def before_read(self, name: str, act: Callable[[], None]) -> None:
        self._acts[name] = act

    def break_listing(self) -> None:
        self.server.fails_after_pages = 1

    def empty_listing(self) -> None:
        self.server.lists_nothing = True

    def mend(self) -> None:
        self.server.fails_after_pages, self.server.lists_nothing = None, False

    def repeat_items(self) -> None:
        self.server.duplicates_items = True

    def set_clock(self, ahead: timedelta) -> None:
        self.state.now += ahead
        self.skew -= ahead

    def expire(self) -> None:
        self.server.expired = True

    def renew(self) -> None:
        self.server.expired = False

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {
            self._names[repo.id]: (self._read(repo).decode(), self.readers(repo)) for repo in self.state.repos.values()
        }

    def readers(self, repo: Repo) -> tuple[str, ...]:
        """Return users of the directory whom the server lets in."""
        logins = self.state.readers(repo)
        return ("everyone",) if "*" in logins else tuple(sorted(f"user:{USERS[each]}" for each in logins & {*USERS}))

    def name_of(self, external_id: str) -> str:
        return self._names[repo_id(external_id)]

    def repo(self, name: str) -> Repo | None:
        return next((repo for repo in self.state.repos.values() if self._names.get(repo.id) == name), None)

    def _existing(self, name: str) -> Repo:
        repo = self.repo(name)
        assert repo is not None
        return repo

    def _let_in(self, repo: Repo, readers: Sequence[str]) -> None:
        repo.visibility = "public" if "everyone" in readers else "private"
        repo.teams = {self._leads.id} if "group:hr:leads" in readers else set()
        repo.direct = {"ann-hub"} if "user:ann" in readers else set()

    def _about_to_read(self, repo: Repo, sha: str) -> None:
        act = self._acts.pop(self._names.get(repo.id, ""), None)
        if act is not None:
            self._reading = True
            act()
            self._reading = False


def _repo_name(name: str) -> str:
    return name.removesuffix(".md").replace("/", "-")


def repo_id(external_id: str) -> int:
    """Return the repository that a document is of."""
    return int(external_id.partition("/")[0].removeprefix("repo:"))


class WikiSource(GithubSource):
    """The same, where the one item of a repository is a page of its wiki."""

    def __init__(self, server: GithubServer, opened: Egress, clock: FakeClock) -> None:
        super().__init__(server, opened, clock)
        self.settings["wikis"] = True

    @property
    def downloads(self) -> int:
        return sum(b"command=fetch" in each and b"filter" not in each for each in self.server.asked_of_git)

    def _write(self, repo: Repo, text: bytes) -> None:
        repo.wiki.commit({PATH: text}, forced=self._reading)
        if self._reading:
            repo.wiki.forget()

    def _read(self, repo: Repo) -> bytes:
        return repo.wiki.files()[PATH]


class OrganisationSource(GithubSource):
    """The same, as it is: many files and issues a repository, external ids for names."""

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        found = {}
        for repo in self.state.repos.values():
            if self.server.app.has(repo):
                for path, content in repo.files().items():
                    if not path.endswith(".png"):
                        found[f"repo:{repo.id}/file/{path}"] = (content.decode(), self.readers(repo))
                for issue in repo.talk(pulls_stay=self.state.pulls_stay).values():
                    found[f"repo:{repo.id}/issue/{issue.number}"] = (written(issue), self.readers(repo))
                for release in repo.releases.values():
                    if self.settings.get("releases") and not release.draft:
                        found[f"repo:{repo.id}/release/{release.id}"] = (_announced(release), self.readers(repo))
                for discussion in self._discussed(repo):
                    found[f"repo:{repo.id}/discussion/{discussion.number}"] = (_talked(discussion), self.readers(repo))
                for path, content in self._shown_of(repo):
                    found[f"repo:{repo.id}/wiki/{path}"] = (content.decode(), self.readers(repo))
        return found

    def _discussed(self, repo: Repo) -> Iterable[FakeDiscussion]:
        return repo.discussions.values() if self.settings.get("discussions") and repo.has_discussions else ()

    def _shown_of(self, repo: Repo) -> Iterator[tuple[str, bytes]]:
        if self.settings.get("wikis") and repo.has_wiki:
            for path, content in repo.wiki.files().items():
                if not path.endswith(".png") and not path.startswith("_"):
                    yield path, content

    def name_of(self, external_id: str) -> str:
        return external_id


class OrganisationFollower(Follower):
    """Knows files by the paths that their documents say, for an id is but the first one."""

    def view(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        found = {}
        for external_id, document in self.documents.items():
            name, path = external_id, document.attributes.get("path")
            if path is not None:
                assert document.title == str(path).rpartition("/")[2]
                assert (document.url or "").endswith(f"/{quote(str(path))}")
                name = f"{external_id.partition('/')[0]}/file/{path}"
            assert name not in found, "two documents of one file"
            found[name] = (document.text, self._readers(document))
        return found


def _talked(discussion: FakeDiscussion) -> str:
    answered = ", answered" if discussion.answered else ""
    said = f"Discussion #{discussion.number} in Ideas{answered}, by ann-hub"
    text = f"# {discussion.title}\n\n{said}\n\n{discussion.body}\n"
    for remark in discussion.remarks:
        text += f"\n## {remark.author}, {remark.at:%Y-%m-%d}\n\n{remark.body}\n"
        for reply in remark.replies:
            text += f"\n### {reply.author}, {reply.at:%Y-%m-%d}\n\n{reply.body}\n"
    return text


def _announced(release: FakeRelease) -> str:
    kind = "Pre-release" if release.prerelease else "Release"
    said = f"{kind} {release.tag}, by ann-hub, {release.published_at:%Y-%m-%d}"
    return f"# {release.name or release.tag}\n\n{said}\n\n{release.body}\n"


def written(issue: FakeIssue) -> str:
    """Return what becomes of an issue."""
    kind = "Pull request" if issue.pull else "Issue"
    text = f"# {issue.title}\n\n{kind} #{issue.number}, {issue.state}, by {issue.author}\n\nLabels: kind/test\n\n"
    text += f"{issue.body}\n"
    for each in issue.comments:
        place = f" on {each.path}" if each.path else ""
        text += f"\n## {each.author}, {each.at:%Y-%m-%d}{place}\n\n{each.body}\n"
    return text


@asynccontextmanager
async def github_source(kind: type[S]) -> AsyncIterator[S]:
    """Run a server until the end of the block; time passes by waiting alone."""
    clock = FakeClock()
    async with (
        github_server() as server,
        egress(clock, {"github.test": [["127.0.0.1"]]}, allowed_hosts=["github.test"]) as opened,
    ):
        yield kind(server, opened, clock)
