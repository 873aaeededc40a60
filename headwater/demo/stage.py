"""What the acts play on: a running stack, callers with keys, a copy of the handbook that a connector follows."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from headwater.cli.api_client import ApiClient, ApiProblemError, open_api
from headwater.errors import HeadwaterError, RetryableError
from headwater.local.stack import LocalStack
from headwater.local.supervisor import Supervisor
from headwater.settings import Settings

T = TypeVar("T")
HANDBOOK: Final = Path(__file__).parent / "handbook"
SOURCE: Final = "handbook"
USERS: Final = {"sam": "Sam, a deck hand", "ann": "Ann of the people team", "leo": "Leo of the leadership"}
GROUPS: Final = {"handbook:people-team": ["user:ann"], "handbook:leadership": ["user:leo"]}
POLL_S: Final = 0.01  # the acts are timed: the poll must not be what is measured
PATIENCE_S: Final = 180.0
KEYS_VALID_S: Final = 3600  # longer than the acts take on the slowest machine


class ActFailedError(HeadwaterError):
    """What an act promises did not happen."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """Handed from act to act."""

    settings: Settings  # of the running stack
    stack: LocalStack
    folder: Path  # the followed copy of the handbook
    admin: ApiClient
    callers: Mapping[str, ApiClient]
    notes: dict[str, Any] = field(default_factory=dict)  # what a later act needs of an earlier one

    @property
    def supervisor(self) -> Supervisor:
        """The running supervisor."""
        found = self.stack.supervisor()
        if found is None:
            raise ActFailedError("the stack is not running any more; see its logs with `headwater logs`")
        return found

    def search(self, user: str, query: str, **options: Any) -> dict[str, Any]:
        """Search as a user."""
        found: dict[str, Any] = self.callers[user].call("POST", "/search", json={"query": query, **options})
        return found

    def ask(self, user: str, question: str) -> dict[str, Any]:
        """Ask as a user."""
        found: dict[str, Any] = self.callers[user].call("POST", "/query", json={"query": question})
        return found

    def documents(self) -> dict[str, dict[str, Any]]:
        """Return the handbook's documents by their path: each caller is told of those that they may read."""
        pages = [
            caller.call("GET", "/documents", params={"source": SOURCE, "limit": 100})
            for caller in self.callers.values()
        ]
        return {document["external_id"]: document for page in pages for document in page["documents"]}

    def document(self, document_id: str, *, user: str = "sam") -> dict[str, Any]:
        """Return a document's state in the stores; empty where the user may not know of it."""
        try:
            found: dict[str, Any] = self.callers[user].call("GET", f"/documents/{document_id}")
        except ApiProblemError as error:
            if error.status == 404:  # noqa: PLR2004 - HTTP's own number
                return {}
            raise
        return found


def wait_until(
    what: str, condition: Callable[[], T | None], *, patience_s: float = PATIENCE_S, every_s: float = POLL_S
) -> tuple[T, float]:
    """Return the first true value of `condition()` and how many milliseconds that took; fail after `patience_s`.

    A dependency that is away for the moment is waited for like anything else.
    """
    began = time.perf_counter()
    while True:
        try:
            value = condition()
        except RetryableError:
            value = None
        except ApiProblemError as error:
            if error.status < 500:  # noqa: PLR2004 - HTTP's own number
                raise
            value = None
        took_s = time.perf_counter() - began
        if value:
            return value, took_s * 1000
        if took_s > patience_s:
            raise ActFailedError(f"{what}: not within {patience_s:.0f} s")
        time.sleep(every_s)


def expect(condition: object, message: str) -> None:
    """Fail the act unless what it promises is so."""
    if not condition:
        raise ActFailedError(message)


@contextmanager
def open_stage(stack: LocalStack, folder: Path) -> Iterator[Stage]:
    """Make users, groups and keys, copy the handbook to `folder`, and follow it with a connector."""
    settings = stack.running_settings()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with open_api(settings.api) as admin:
        _make_directory(admin)
        callers = {user: admin.acting_as(user, valid_s=KEYS_VALID_S) for user in USERS}
        yield Stage(settings=settings, stack=stack, folder=folder, admin=admin, callers=callers)


def _make_directory(admin: ApiClient) -> None:
    for user, name in USERS.items():
        token = admin.call("PUT", f"/directory/users/{user}", json={"name": name})["token"]
    for group, members in GROUPS.items():
        token = admin.call("PUT", f"/directory/groups/{group}", json={"name": group, "members": members})["token"]
    token = admin.call("PUT", "/directory/knowledge-bases/news", json={"name": "News"})["token"]
    source = {"name": "News", "kind": "api", "knowledge_base": "news"}
    token = admin.call("PUT", "/directory/sources/news", json=source, params={"after": token})["token"]
    admin.call("GET", "/directory/users", params={"after": token})


@contextmanager
def following(stage: Stage) -> Iterator[None]:
    """Follow the folder with the filesystem connector, as `headwater sync filesystem --watch` does."""
    command = [sys.executable, "-m", "connectors", "filesystem", str(stage.folder)]
    command += ["--source", SOURCE, "--knowledge-base", SOURCE, "--watch"]
    log = stage.stack.places.logs / "connector.log"
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            command, env={**os.environ, **stage.stack.environment()}, stdout=output, stderr=output
        )
    try:
        yield
        expect(process.poll() is None, f"the connector has ended; see {log}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def copy_handbook(folder: Path) -> int:
    """Copy the handbook into the followed folder; return the number of documents."""
    shutil.copytree(HANDBOOK, folder, dirs_exist_ok=True)
    return sum(1 for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
