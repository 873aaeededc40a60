"""No secret of a source comes out: in no event, log, metric, answer of the API, or word of a command."""

import base64
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from headwater.cli.api_client import ApiProblemError
from headwater.clients.kafka.topics import desired_topics
from headwater.demo.stage import wait_until
from headwater.local.places import places_of
from headwater.local.ports import LOOPBACK, free_ports
from tests.support.github_answers import Answer
from tests.support.github_server import GithubServer, github_server
from tests.support.library import READER, Library
from tests.support.own_loop import in_own_loop
from tests.support.platform import CONNECT, Platform
from tests.support.records import read_messages
from tests.support.stack import RunningStack
from tests.support.webhooks import digest

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

TENANT: Final = "default"
FILE: Final = "a.md"
OF_DOCUMENT: Final = "harmlessdocument7d1"  # are to be found: this in the document, that in a setting
OF_SETTING: Final = "harmlesssetting5b2"
WORKER, RECEIVER = "secrets-worker", "secrets-webhooks"
PORT: Final = re.compile(r'"port": (\d+)')


def new_secret() -> str:
    return f"ghp_{secrets.token_hex(18)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An organisation of GitHub whose token a reference names, as a source."""

    server: GithubServer
    library: Library
    reference: str
    environment: Mapping[str, str]  # with which a command finds the token

    @property
    def record(self) -> dict[str, Any]:
        return {
            "name": "Code",
            "kind": "github",
            "knowledge_base": self.library.name,
            "settings": {
                "url": self.server.url,
                "organisation": "acme",
                "public": "everyone",
                "users": f"{{{OF_SETTING}: ann}}",
                "wikis": "true",
            },
            "secrets": {"token": self.reference, "webhook": "file:hook"},
        }

    def connect(self) -> None:
        """Put the source, with a public repository of one file."""
        repo = self.server.state.add_repo("handbook", visibility="public")
        repo.put(FILE, f"# Handbook\n\nThe {OF_DOCUMENT} sings at noon.\n".encode())
        repo.wiki.put("Home.md", b"# Home\n")
        name = self.library.name
        self.library.platform.directory(
            (f"users/{READER}", {"name": READER}),
            (f"knowledge-bases/{name}", {"name": name}),
            (f"sources/{name}", self.record),
        )

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Let the server refuse whatever is asked of it, and say the token that it was shown wherever it can."""
        said = f"Bad credentials: {self.server.token}"
        header = {"WWW-Authenticate": f'Bearer realm="{self.server.token}"', "X-Shown": self.server.token}
        self.server.answers = [Answer(status=401, message=said, headers=header)] * 20
        yield
        self.server.answers = []

    def tried(self) -> Mapping[str, Any]:
        """Try the source from this host, by the command; return what it says and its exit status."""
        done = self.library.platform.command("sources", "test", self.library.name, "--json", **self.environment)
        return {**json.loads(done.stdout), "status": done.returncode, "beside": done.stderr}


@dataclass(slots=True, kw_only=True)
class Told:
    """All that was told, by where."""

    texts: dict[str, bytes] = field(default_factory=dict)

    def add(self, where: str, said: object) -> None:
        self.texts[where] = said if isinstance(said, bytes) else str(said).encode()

    def places_with(self, *words: str) -> set[str]:
        return {where for where, text in self.texts.items() if any(word.encode() in text for word in words)}


@contextmanager
def two_sources(platform: Platform, folder: Path, *, hook: str) -> Iterator[tuple[Code, Code]]:
    """Yield sources whose tokens are in the environment and in a file; `hook` signs the webhooks of both."""
    in_environment, in_file = new_secret(), new_secret()
    (folder / TENANT).mkdir()
    (folder / TENANT / "code-token").write_text(f"{in_file}\n")
    (folder / TENANT / "hook").write_text(hook)
    finding = {
        "HEADWATER_SECRET__DEFAULT__CODE_TOKEN": in_environment,
        "HEADWATER_CONNECTORS__SECRETS_FOLDER": str(folder),
        "HEADWATER_EGRESS__ALLOWED_HOSTS": f'["{LOOPBACK}"]',
        "HEADWATER_EGRESS__REQUESTS_PER_S": "1000",
    }

    def source(server: GithubServer, token: str, reference: str) -> Code:
        server.url, server.token = server.url.replace("github.test", LOOPBACK), token
        library = Library(platform=platform, name=f"code-{uuid4().hex[:10]}")
        return Code(server=server, library=library, reference=reference, environment=finding)

    with in_own_loop(github_server()) as first, in_own_loop(github_server()) as second:
        yield source(first, in_environment, "env:code-token"), source(second, in_file, "file:code-token")


@contextmanager
def connecting(code: Code) -> Iterator[httpx.Client]:
    """Run a worker and a receiver that find the secrets; yield where webhooks go."""
    platform, port = code.library.platform, free_ports(["webhooks"])["webhooks"]
    receiving = {"HEADWATER_WEBHOOKS__PORT": str(port), **code.environment}
    with (
        platform.child(*CONNECT, "worker", log=WORKER, **code.environment) as worker,
        platform.child(*CONNECT, "webhooks", log=RECEIVER, **receiving),
        httpx.Client(base_url=f"http://{LOOPBACK}:{port}/hooks/{TENANT}/", timeout=30) as hooks,
    ):
        wait_until("the receiver to know the sources", lambda: answers(hooks))
        yield hooks
        worker.terminate()  # it leaves the group: the next worker need not wait for its session to end
        worker.wait(30)


def answers(hooks: httpx.Client) -> bool:
    try:
        return hooks.post("nobody", content=b"{}").status_code == httpx.codes.UNAUTHORIZED
    except httpx.TransportError:
        return False


def live(code: Code, hooks: httpx.Client, told: Told, *, hook: str) -> None:
    """Let a source be tried and synced, with and without success, and be told of changes by its owner and by others."""
    name, library = code.library.name, code.library
    admin = library.platform.admin
    code.connect()
    plain = code.record | {"settings": {"organisation": "acme", "token": code.server.token}}
    with pytest.raises(ApiProblemError, match=r"settings\.token: a credential, by its name") as refused:
        admin.call("PUT", f"/directory/sources/{name}-plain", json=plain)
    told.add(f"{name}: refused settings", refused.value)

    assert library.tested()["passed"]
    tried = code.tried()
    assert (tried["status"], tried["readable"]) == (0, True)
    synced = library.synced("full", after=None)
    assert (synced["ending"], synced["failed"]) == ("completed", [])
    wait_until("the file to be found", lambda: library.found(OF_DOCUMENT, mode="keyword"))

    with code.refusing():
        told.add(f"{name}: refused test", failed := library.tested())
        assert (failed["passed"], "renew what secrets.token holds" in failed["message"]) == (False, True)
        told.add(f"{name}: refused command", tried := code.tried())
        assert (tried["status"], tried["readable"]) == (1, False)
        told.add(f"{name}: refused sync", ended := library.synced("full", after=synced["started_at"]))
        assert ended["ending"] == "unauthorised"

    body = json.dumps({"zen": "x", "hook": {"config": {"secret": hook}}}).encode()
    event = {"X-GitHub-Event": "push", "X-GitHub-Delivery": uuid4().hex}
    for signature in (hook, f"sha256={hook}", f"sha256={digest(body, 'another')}"):
        answer = hooks.post(name, content=body, headers=event | {"X-Hub-Signature-256": signature})
        assert answer.status_code == 401
        told.add(f"{name}: refused delivery {signature[:9]}", answer.content + str(answer.headers).encode())
    about = b'{"repository": {"id": 7}, "issue": {"number": 3}}'
    signed = {**event, "X-GitHub-Event": "issues", "X-Hub-Signature-256": f"sha256={digest(about, hook)}"}
    assert hooks.post(name, content=about, headers=signed).json() == {"status": "accepted"}
    wait_until("what was told to be looked at", lambda: ending_after(library, ended["started_at"]))


def ending_after(library: Library, started_at: str) -> str | None:
    sync = library.platform.admin.call("GET", f"/directory/sources/{library.name}/sync")
    return sync["ending"] if sync["started_at"] != started_at else None


def ask_for_everything(code: Code, told: Told) -> None:
    """Add all that the API and the commands say of a source."""
    library, name = code.library, code.library.name
    admin, of_source = library.platform.admin, f"/directory/sources/{name}"
    for path in (
        *(of_source, f"{of_source}/sync", f"{of_source}/test", f"{of_source}/deletions"),
        *("/directory/sources", "/syncs", "/parked", f"/documents?knowledge_base={name}"),
    ):
        told.add(f"{name}: GET {path}", json.dumps(admin.call("GET", path)))
    [found] = library.answer(OF_DOCUMENT, mode="keyword", explain=True)["hits"]
    told.add(f"{name}: found", json.dumps(found))
    question = {"query": OF_DOCUMENT, "kind": "search", "top_k": 1, "knowledge_bases": [name]}
    told.add(f"{name}: explained", admin.call("POST", f"/documents/{found['document_id']}/explain", json=question))
    for arguments in (["show", name], ["list"]):
        done = library.platform.command("sources", *arguments)
        told.add(f"{name}: sources {arguments[0]}", done.stdout + done.stderr)


def read_everything(platform: Platform, stack: RunningStack, told: Told) -> None:
    """Add all topics from their beginnings, all logs of processes and components, all metrics."""
    for topic in desired_topics(platform.settings):
        messages = read_messages(platform.settings.kafka.bootstrap_servers, topic.name)
        parts = [(each.key() or b"", each.value() or b"", str(each.headers()).encode()) for each in messages]
        told.add(f"topic {topic.name}", b"\n".join(part for message in parts for part in message))
    ports = {process.name: process.port for process in platform.processes}
    for folder in (platform.places.logs, places_of(stack.settings.local).logs):
        for path in folder.rglob("*"):
            if path.is_file():
                told.add(f"log {path.relative_to(folder)}", path.read_bytes())
    for child in (WORKER, RECEIVER):  # the last port that it names is the management's
        ports[child] = int(PORT.findall(told.texts[f"log {child}.log"].decode())[-1])
    for name, port in ports.items():
        told.add(f"metrics of {name}", httpx.get(f"http://{LOOPBACK}:{port}/metrics").text)


def test_no_secret_of_a_source_comes_out(platform: Platform, stack: RunningStack, tmp_path: Path) -> None:
    told, hook = Told(), new_secret()
    with two_sources(platform, tmp_path, hook=hook) as sources, connecting(sources[0]) as hooks:
        for code in sources:
            live(code, hooks, told, hook=hook)
            ask_for_everything(code, told)
        read_everything(platform, stack, told)
    tokens = [code.server.token for code in sources]
    in_headers = [base64.b64encode(f"x-access-token:{token}".encode()).decode() for token in tokens]
    assert told.places_with(hook, *tokens, *in_headers) == set()

    # The search bites: what may be told is found where it belongs.
    prefix = platform.settings.kafka.topic_prefix
    for code in sources:
        name = code.library.name
        assert f"{name}: found" in told.places_with(OF_DOCUMENT)
        assert f"{name}: GET /directory/sources/{name}" in told.places_with(OF_SETTING)
        assert {f"log {WORKER}.log", f"topic {prefix}rag.sources.tested"} <= told.places_with(name)
    assert {f"topic {prefix}rag.directory.submitted", f"topic {prefix}rag.directory.changed"} <= told.places_with(
        OF_SETTING
    )
    assert f"metrics of {WORKER}" in told.places_with("headwater_egress_requests_total")


def test_a_command_tries_a_source_and_names_what_is_missing(platform: Platform, tmp_path: Path) -> None:
    with two_sources(platform, tmp_path, hook=new_secret()) as (code, _):
        code.connect()
        platform_of, name = code.library.platform, code.library.name
        said = platform_of.command("sources", "test", name, **code.environment)
        assert (said.returncode, said.stdout) == (0, f"{name}: settings, credentials and rights are in order.\n")

        code.server.state.repos[next(iter(code.server.state.repos))].visibility = "private"
        code.server.refused = {"/collaborators$": 403}
        told = code.tried()
        assert (told["status"], told["source"], told["readable"]) == (1, name, False)
        assert "secrets.token: lacks the right to list collaborators" in told["said"]
        code.server.refused = {}

        elsewhere = platform_of.command("sources", "test", name, HEADWATER_EGRESS__ALLOWED_HOSTS=f'["{LOOPBACK}"]')
        assert (elsewhere.returncode, elsewhere.stdout) == (1, "")
        assert "HEADWATER_SECRET__DEFAULT__CODE_TOKEN of the connector worker is missing" in elsewhere.stderr
        for arguments in ([f"{name}-x"], [name, "--tenant", "nobody"]):
            unknown = platform_of.command("sources", "test", *arguments, "--json", **code.environment)
            assert (unknown.returncode, json.loads(unknown.stdout)["readable"]) == (1, False)
            assert "`headwater sources add` makes it" in json.loads(unknown.stdout)["said"]
