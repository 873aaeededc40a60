"""Sources that live on while a connector worker of another process reads them, one sync after another."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import yaml

from connectors.filesystem.rules import RULE_FILE
from connectors.github.ids import named
from headwater.sources.objects import RULES_KEY
from schemas.events.directory import Source
from tests.support.bucket_server import BUCKET, CREDENTIALS, REGION, BucketServer, bucket_server
from tests.support.confluence import SPACE, plain
from tests.support.confluence_server import TOKEN as SITE_TOKEN
from tests.support.confluence_server import ConfluenceServer, address, serving
from tests.support.confluence_wiki import CURRENT, Restricted, Space
from tests.support.confluence_wiki import Wiki as ConfluenceWiki
from tests.support.egress import FakeClock
from tests.support.folders import pages_in
from tests.support.github_server import TOKEN as CODE_TOKEN
from tests.support.github_server import GithubServer, github_server
from tests.support.github_state import FILE, ORGANISATION, blob_sha
from tests.support.heads import HANDBOOK
from tests.support.own_loop import in_own_loop
from tests.support.wiki import WIKI, folder_source, reading_below

REPOSITORIES: Final = 4
ON_LOOPBACK: Final = {
    "HEADWATER_EGRESS__ALLOWED_HOSTS": '["127.0.0.1"]',
    "HEADWATER_EGRESS__REQUESTS_PER_S": "10000",
}


class Living(Protocol):
    """A source that becomes another one each time that a sync has ended."""

    @property
    def source(self) -> Source: ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Return what a worker needs to read it."""
        ...

    def rewrite(self) -> None:
        """Edit most of the items, remove some, bring some back, and say anew who may read them."""
        ...

    def remove(self, external_id: str) -> None:
        """Remove one item, if it is there."""
        ...

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return, by external id, each item's text and the readers that the last clause of its access names."""
        ...

    def text(self, content: bytes) -> str:
        """Return the text of a document's content."""
        ...


@dataclass(slots=True, kw_only=True)
class Tree:
    """A folder. Implements Living."""

    root: Path
    items: int
    chance: random.Random
    editions: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def source(self) -> Source:
        return folder_source(self.root)

    @property
    def environment(self) -> Mapping[str, str]:
        return reading_below(self.root.parent)

    def rewrite(self) -> None:
        edition = next(self.editions)
        (self.root / RULE_FILE).write_text(f"readers: [{reader_of(edition)}]")
        for number in range(self.items):
            page = self.root / f"page-{number:03}.md"
            if self.chance.random() < 0.05:
                page.unlink(missing_ok=True)
            else:
                page.write_text(f"# Page {number}\n\nEdition {edition}.")

    def remove(self, external_id: str) -> None:
        (self.root / external_id).unlink(missing_ok=True)

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        readers = tuple(yaml.safe_load((self.root / RULE_FILE).read_text())["readers"])
        return {page.name: (page.read_text(), readers) for page in self.root.glob("*.md")}

    def text(self, content: bytes) -> str:
        return content.decode()


@dataclass(slots=True, kw_only=True)
class Site:
    """A Confluence site. Implements Living."""

    server: ConfluenceServer
    chance: random.Random
    editions: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def source(self) -> Source:
        return Source(
            name="Site",
            kind="confluence",
            knowledge_base=HANDBOOK,
            settings={"url": address(self.server), "by_username": "true"},
            secrets={"token": "env:wiki"},
        )

    @property
    def environment(self) -> Mapping[str, str]:
        return {"HEADWATER_SECRET__ACME__WIKI": SITE_TOKEN, **ON_LOOPBACK}

    @property
    def outer(self) -> tuple[str, ...]:
        """See SharesWithin: a page of this site lies in its space."""
        return (f"group:{WIKI}:space:{SPACE}",)

    def rewrite(self) -> None:
        edition, wiki = next(self.editions), self.server.wiki
        for page in wiki.pieces.values():
            if page.status != CURRENT:
                wiki.restore(page.id)
            elif self.chance.random() < 0.05:
                wiki.trash(page.id)
            else:
                page.restriction = Restricted(users={"ann"} if self.chance.random() < 0.3 else set())
                wiki.edit(page.id, f"Edition {edition} of {page.id}.")

    def remove(self, external_id: str) -> None:
        if self.server.wiki.alive(external_id):
            self.server.wiki.trash(external_id)

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {
            page.id: (page.body, ("user:ann",) if page.restriction.users else self.outer)
            for page in self.server.current()
        }

    def text(self, content: bytes) -> str:
        return plain(content)


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A bucket. Implements Living."""

    server: BucketServer
    items: int
    chance: random.Random
    editions: Iterator[int] = field(default_factory=count)

    @property
    def source(self) -> Source:
        return Source(
            name="Bucket",
            kind="objects",
            knowledge_base=HANDBOOK,
            settings={
                "url": f"s3://{BUCKET}/",
                "endpoint": self.server.url,
                "allow_http": "true",
                "region": REGION,
            },
            secrets={"access_key_id": "env:key", "secret_access_key": "env:secret"},
        )

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "HEADWATER_SECRET__ACME__KEY": CREDENTIALS.access_key_id,
            "HEADWATER_SECRET__ACME__SECRET": CREDENTIALS.secret_access_key.get_secret_value(),
            **ON_LOOPBACK,
        }

    def rewrite(self) -> None:
        edition = next(self.editions)
        self.server.put(RULES_KEY, f"readers: [{reader_of(edition)}]".encode())
        there = self.server.current().keys()
        for number in range(self.items):
            key = f"page-{number:04}.md"
            if key in there and self.chance.random() < 0.05:
                self.server.delete(key)
            else:
                self.server.put(key, f"# Page {number}\n\nEdition {edition}.".encode())

    def remove(self, external_id: str) -> None:
        if external_id in self.server.current():
            self.server.delete(external_id)

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        texts = {key: (version.content or b"").decode() for key, version in self.server.current().items()}
        readers = tuple(yaml.safe_load(texts.pop(RULES_KEY))["readers"])
        return {key: (text, readers) for key, text in texts.items()}

    def text(self, content: bytes) -> str:
        return content.decode()


@dataclass(slots=True, kw_only=True)
class Organisation:
    """An organisation of GitHub's with some repositories. Implements Living."""

    server: GithubServer
    items: int
    chance: random.Random
    editions: Iterator[int] = field(default_factory=count)

    @property
    def source(self) -> Source:
        return Source(
            name="Code",
            kind="github",
            knowledge_base=HANDBOOK,
            settings={"url": self.server.url, "organisation": ORGANISATION, "issues": "false"},
            secrets={"token": "env:code"},
        )

    @property
    def environment(self) -> Mapping[str, str]:
        return {"HEADWATER_SECRET__ACME__CODE": CODE_TOKEN, **ON_LOOPBACK}

    def rewrite(self) -> None:
        """Remove some files, or bring all back: of both at once GitHub may say that one is the other, renamed."""
        edition = next(self.editions)
        for repo in self.server.state.repos.values():
            tree = {}
            for number in range(self.items // REPOSITORIES):
                if edition % 2 == 0 or self.chance.random() >= 0.05:
                    content = f"# Page {number} of {repo.name}\n\nEdition {edition}.".encode()
                    repo.blobs[blob_sha(content)] = content
                    tree[f"docs/page-{number:04}.md"] = (FILE, blob_sha(content))
            repo.commit(tree)

    def remove(self, external_id: str) -> None:
        wanted = named(external_id)
        for repo in self.server.state.repos.values():
            if wanted is not None and wanted.repository_id == repo.id and wanted.path in repo.tree():
                repo.remove(wanted.path)

    def truth(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {
            f"repo:{repo.id}/file/{path}": (content.decode(), (f"group:{WIKI}:repo:{repo.id}",))
            for repo in self.server.state.repos.values()
            for path, content in repo.files().items()
        }

    def text(self, content: bytes) -> str:
        return content.decode()


def reader_of(edition: int) -> str:
    """Return who may read an edition."""
    return "everyone" if edition % 2 == 0 else "group:hr:leads"


@contextmanager
def tree(folder: Path, *, items: int, chance: random.Random) -> Iterator[Tree]:
    """Make a folder of pages."""
    yield Tree(root=pages_in(folder / "tree", items), items=items, chance=chance)


@contextmanager
def site(_: Path, *, items: int, chance: random.Random) -> Iterator[Site]:
    """Serve a site of pages."""
    wiki = ConfluenceWiki(clock=FakeClock(), spaces={SPACE: Space(key=SPACE)})
    for number in range(items):
        wiki.write(SPACE, f"Page {number}", f"Edition 0 of {number}.")
    with in_own_loop(serving(ConfluenceServer(wiki, page_size=100))) as server:
        server.url = server.url.replace("wiki.test", "127.0.0.1")
        yield Site(server=server, chance=chance)


@contextmanager
def bucket(_: Path, *, items: int, chance: random.Random) -> Iterator[Bucket]:
    """Serve a bucket of objects."""
    with in_own_loop(bucket_server()) as server:
        server.page_size = 100
        living = Bucket(server=server, items=items, chance=chance)
        living.rewrite()
        yield living


@contextmanager
def organisation(_: Path, *, items: int, chance: random.Random) -> Iterator[Organisation]:
    """Serve an organisation whose repositories have files."""
    with in_own_loop(github_server()) as server:
        server.url = server.url.replace("github.test", "127.0.0.1")
        for number in range(REPOSITORIES):
            server.state.add_repo(f"repo-{number}", visibility="public")
        living = Organisation(server=server, items=items, chance=chance)
        living.rewrite()
        yield living
