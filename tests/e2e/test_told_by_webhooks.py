"""GitHub and Confluence tell of what happens by webhooks; receiver and worker are processes, as in the field."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from uuid import uuid4

import httpx
import pytest

from headwater.clients.kafka.config import topic_of
from headwater.demo.stage import wait_until
from headwater.local.ports import LOOPBACK, free_ports
from schemas.codec import decode
from schemas.events.syncs import SyncMode, SyncRequested
from schemas.topics import Topic
from tests.support.confluence_server import ConfluenceServer, address, serving
from tests.support.confluence_wiki import Space, Wiki
from tests.support.egress import FakeClock
from tests.support.github_server import github_server
from tests.support.github_state import ORGANISATION
from tests.support.library import READER, Library
from tests.support.own_loop import in_own_loop
from tests.support.platform import CONNECT, Platform
from tests.support.records import read_topic
from tests.support.shared_worlds import READING
from tests.support.webhooks import SECRET, digest

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

HOOK: Final = {"webhook": "env:hook"}
BEFORE, AFTER = "anchorage", "lighthouse"  # what the one page says; the other says BEFORE and is deleted
Delivery: TypeAlias = tuple[Mapping[str, str], dict[str, Any]]  # headers but the signature's, and the body


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A source of two documents, and its server. `change` edits one, deletes the other and returns the deliveries."""

    record: Mapping[str, Any]
    edited: str
    deleted: str
    signature: str  # the header's name
    asked: Sequence[object]  # what the server was asked for
    idle: Delivery  # one that asks for nothing
    change: Callable[[], Sequence[Delivery]]


@asynccontextmanager
async def _code() -> AsyncIterator[Telling]:
    async with github_server() as server:
        repo = server.state.add_repo("code", visibility="public")
        repo.put("docs/guide.md", f"# Guide\n\nThe {BEFORE}.\n".encode())
        repo.put("docs/old.md", f"# Old\n\nAnother {BEFORE}.\n".encode())

        def change() -> Sequence[Delivery]:
            repo.put("docs/guide.md", f"# Guide\n\nThe {AFTER}.\n".encode())
            repo.remove("docs/old.md")
            said = {"ref": f"refs/heads/{repo.branch}", "repository": {"id": repo.id, "full_name": repo.full_name}}
            return [({"X-GitHub-Event": "push", "X-GitHub-Delivery": uuid4().hex}, said)]

        url = server.url.replace("github.test", LOOPBACK)
        settings = {"url": url, "organisation": ORGANISATION, "public": "everyone"}
        yield Telling(
            record={"kind": "github", "settings": settings, "secrets": {"token": "env:code", **HOOK}},
            edited=f"repo:{repo.id}/file/docs/guide.md",
            deleted=f"repo:{repo.id}/file/docs/old.md",
            signature="X-Hub-Signature-256",
            asked=server.requests,
            idle=({"X-GitHub-Event": "ping"}, {"zen": "Keep it logically awesome."}),
            change=change,
        )


@asynccontextmanager
async def _wiki() -> AsyncIterator[Telling]:
    wiki = Wiki(clock=FakeClock(), spaces={"ENG": Space(key="ENG", anonymous=True)}, anonymous=True)
    async with serving(ConfluenceServer(wiki)) as server:
        server.url = server.url.replace("wiki.test", LOOPBACK)
        edited, deleted = (wiki.write("ENG", f"Page {n}", f"<p>The {BEFORE}, {n}.</p>") for n in range(2))

        def change() -> Sequence[Delivery]:
            wiki.edit(edited, f"<p>The {AFTER}.</p>")
            wiki.trash(deleted)
            told = (("page_updated", edited), ("page_trashed", deleted))
            return [
                ({"X-Atlassian-Webhook-Identifier": uuid4().hex}, {"event": event, "page": {"id": page, "version": 2}})
                for event, page in told
            ]

        settings = {"url": address(server), "by_username": "true"}
        yield Telling(
            record={"kind": "confluence", "settings": settings, "secrets": {"token": "env:wiki", **HOOK}},
            edited=edited,
            deleted=deleted,
            signature="X-Hub-Signature",
            asked=server.requests,
            idle=({}, {"event": "space_logo_updated"}),
            change=change,
        )


SOURCES: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[Telling]]]] = {
    "github": _code,
    "confluence": _wiki,
}


@pytest.fixture(scope="module")
def hooks(platform: Platform) -> Iterator[str]:
    """A worker that may read the servers and a receiver that knows the secret alone; yield where deliveries go."""
    platform.directory((f"users/{READER}", {"name": READER}))
    port = free_ports(["webhooks"])["webhooks"]
    listening = {"HEADWATER_WEBHOOKS__PORT": str(port), "HEADWATER_SECRET__DEFAULT__HOOK": SECRET}
    with (
        platform.child(*CONNECT, "worker", log="connectors", **READING) as worker,
        platform.child(*CONNECT, "webhooks", log="webhooks", **listening) as receiver,
    ):
        yield f"http://{LOOPBACK}:{port}/hooks/{platform.settings.api.default_tenant}"
        for process in (worker, receiver):  # the worker leaves the group: the next one need not wait for its session
            process.terminate()
            process.wait(30)


@pytest.mark.parametrize("kind", SOURCES)
def test_an_edit_and_a_deletion_that_are_told_are_searchable_and_hidden(
    platform: Platform, hooks: str, kind: str
) -> None:
    library = Library(platform=platform, name=f"told-{uuid4().hex[:10]}")
    with in_own_loop(SOURCES[kind]()) as source:
        _connect(library, source)
        first = library.synced("full", after=None)
        assert (first["ending"], first["upserted"]) == ("completed", 2)
        both = {source.edited, source.deleted}
        wait_until("both documents to be found", lambda: library.found(BEFORE, mode="keyword") == both)

        # From here on the receiver knows the source: what it refuses now, it refuses for its signature.
        assert _told(library, hooks, source, *source.idle, secret=SECRET).json() == {"status": "nothing"}
        deliveries, asked, requested = source.change(), len(source.asked), _requested(library)
        for headers, said in deliveries:
            assert _told(library, hooks, source, headers, said, secret="another secret").status_code == 401
        assert (_requested(library), len(source.asked)) == (requested, asked)

        for headers, said in deliveries:
            answer = _told(library, hooks, source, headers, said, secret=SECRET)
            assert (answer.status_code, answer.json()) == (202, {"status": "accepted"})
        wait_until("the edit to be found", lambda: library.found(AFTER, mode="keyword") == {source.edited})
        wait_until("what was deleted to be hidden", lambda: library.found(BEFORE, mode="keyword") == set())
        modes = {each.mode for each in _requested(library)[len(requested) :]}
        assert modes == {SyncMode.ITEMS}  # nothing else was asked for: it is the webhook that was heard


def _connect(library: Library, source: Telling) -> None:
    name = library.name
    library.platform.directory(
        (f"knowledge-bases/{name}", {"name": name}),
        (f"sources/{name}", {"name": name, "knowledge_base": name, **source.record}),
    )


def _told(
    library: Library, hooks: str, source: Telling, headers: Mapping[str, str], said: dict[str, Any], *, secret: str
) -> httpx.Response:
    """Deliver, again and again while the receiver is starting or has not read the directory up to the source."""
    body = json.dumps(said).encode()
    signed = {**headers, source.signature: f"sha256={digest(body, secret)}"}

    def answered() -> httpx.Response | None:
        try:
            answer = httpx.post(f"{hooks}/{library.name}", content=body, headers=signed, timeout=30)
        except httpx.TransportError:
            return None
        is_early = answer.status_code == httpx.codes.UNAUTHORIZED and secret == SECRET
        return None if is_early or answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

    answer, _ = wait_until("the delivery to be answered", answered)
    return answer


def _requested(library: Library) -> list[SyncRequested]:
    """Return the requests for syncs of the source that are in the log."""
    settings = library.platform.settings
    values = read_topic(settings.kafka.bootstrap_servers, topic_of(settings, Topic.SYNCS_REQUESTED))
    return [request for request in (decode(value, SyncRequested) for value in values) if request.source == library.name]
