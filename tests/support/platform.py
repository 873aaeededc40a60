"""The whole product: all of our processes under a supervisor of their own, on the session's components."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from headwater.cli.api_client import ApiClient, open_api, path_id
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.topics import create_topics, desired_topics
from headwater.demo.stage import wait_until
from headwater.local import applications
from headwater.local.places import Places
from headwater.local.ports import free_ports
from headwater.local.process import Process
from headwater.local.stack import LocalStack
from headwater.local.starting import Starter
from headwater.local.supervisor import Supervisor, launch, render
from headwater.migrations import open_migrator
from headwater.settings import BlobSettings, Settings
from tests.support.installations import remove_records
from tests.support.stack import RunningStack

CONNECT = ("-m", "connectors")
MAX_FILE_BYTES = 4 * 1024 * 1024  # a test that goes beyond it need not send much
KEYS_VALID_S = 3600  # longer than a run of all tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A running product with topics, indices and collections of its own."""

    settings: Settings
    environment: Mapping[str, str]  # for a child process: pass `{**os.environ, **platform.environment}`
    supervisor: Supervisor
    places: Places
    processes: tuple[Process, ...]  # what is supervised
    admin: ApiClient
    callers: dict[str, ApiClient] = field(default_factory=dict)

    def acting_as(self, user: str) -> ApiClient:
        """Return a client that calls with a key of this user."""
        if user not in self.callers:
            self.callers[user] = self.admin.acting_as(user, valid_s=KEYS_VALID_S)
        return self.callers[user]

    def directory(self, *entries: tuple[str, dict[str, Any]]) -> None:
        """Put directory records, each `(kind/id, body)`, in order; return when the replica has all of them."""
        after: dict[str, str] = {}
        for path, body in entries:
            after = {"after": self.admin.call("PUT", f"/directory/{path}", json=body, params=after)["token"]}
        self.admin.call("GET", "/directory/users", params=after)

    def source(self, name: str, *, knowledge_base: str) -> None:
        """Create a source that the API writes, and its knowledge base."""
        self.directory(
            (f"knowledge-bases/{knowledge_base}", {"name": knowledge_base}),
            (f"sources/{name}", {"name": name, "kind": "api", "knowledge_base": knowledge_base}),
        )

    def put(self, source: str, external_id: str, text: str, *, readers: str = "everyone", **fields: Any) -> Any:
        """Put a Markdown document; return what the API answers: `document_id` and `token`."""
        body = {
            "title": external_id,
            "text": text,
            "media_type": "text/markdown",
            "access": {"clauses": [{"principals": [readers]}]},
            **fields,
        }
        return self.admin.call("PUT", f"/documents/{source}/{path_id(external_id)}", json=body)

    def pid(self, process: str) -> int:
        """Return the process id of one of our processes, waiting while it is being started."""
        found, _ = wait_until(f"{process} to run", lambda: self.supervisor.states()[process].pid)
        return found

    def command(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run `headwater` on this product and wait until it has ended."""
        return subprocess.run(
            [sys.executable, "-m", "headwater.cli.main", *arguments],
            env={**os.environ, **self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def child(self, *arguments: str, log: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run another process of the product beside the supervised ones; it is killed at the end if it still runs."""
        variables = {**os.environ, **self.environment, **environment, "HEADWATER_MANAGEMENT__PORT": "0"}
        with (self.places.logs / f"{log}.log").open("ab") as output:
            process = subprocess.Popen([sys.executable, *arguments], env=variables, stdout=output, stderr=output)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)


@contextmanager
def running_platform(
    stack: RunningStack,
    *,
    name: str = "platform",
    without: Collection[str] = (),
    blobs: BlobSettings | None = None,
    traces: str | None = None,
) -> Iterator[Platform]:
    """Start all of our processes; stop them at the end and remove what they have made. The last run's logs stay.

    Several run side by side under different names. `without` leaves processes out that nothing else needs. Contents
    lie in a folder unless `blobs` says where. Spans go to the collector that `traces` names, if any.
    """
    folder = stack.settings.local.state_folder.absolute() / name
    local = LocalStack.of(Settings.model_validate({"local": {"state_folder": folder}}))
    asyncio.run(local.down(_ignore))  # what a killed run has left
    shutil.rmtree(folder, ignore_errors=True)
    ports = free_ports()
    groups = _own_groups(folder, api_port=ports["api"])
    if blobs is not None:
        groups["blobs"] = {"url": blobs.url, "options": blobs.options}
    if traces is not None:
        groups["telemetry"] = {"otlp_endpoint": traces}
    settings = stack.settings.model_copy(
        update={name: getattr(stack.settings, name).model_copy(update=fields) for name, fields in groups.items()}
    )
    own = {
        f"HEADWATER_{name}__{key}".upper(): _variable(value)
        for name, each in groups.items()
        for key, value in each.items()
    }
    environment = {**stack.environment, **own}
    try:
        asyncio.run(_create(settings))
        # A test that wants one of these starts its own: beside all others it would only be load and noise.
        left_out = {"canary", "connectors", "webhooks", *without}
        table = tuple(process for process in applications.processes(ports) if process.name not in left_out)
        supervisor = launch(local.places, render(table, places=local.places), environment={**os.environ, **environment})
        starter = Starter(
            supervisor=supervisor,
            places=local.places,
            environment=environment,
            prepare=lambda process: None,
            report=_ignore,
        )
        asyncio.run(starter.run(table, ()))
        with open_api(settings.api) as admin:
            platform = Platform(
                settings=settings,
                environment=environment,
                supervisor=supervisor,
                places=local.places,
                processes=table,
                admin=admin,
            )
            yield platform
            for caller in platform.callers.values():
                caller._client.close()
    finally:
        asyncio.run(local.down(_ignore))
        asyncio.run(_remove(settings))


def _own_groups(folder: Path, *, api_port: int) -> dict[str, dict[str, Any]]:
    """Settings that set this installation apart, and make it quick where a production installation is patient."""
    name = f"t{uuid4().hex[:10]}"
    return {
        "kafka": {"topic_prefix": f"{name}.", "partitions": 2, "session_timeout_s": 6},
        "elasticsearch": {"index_prefix": name},
        "milvus": {"collection_prefix": name},
        "redis": {"key_prefix": f"{name}:"},
        "blobs": {"url": f"file:{folder / 'blobs'}"},
        "heads": {"folder": folder / "heads", "map_size_bytes": 2**30},
        "stages": {"datadir": folder / "workers", "removal_grace_s": 2.0},
        "limits": {"max_file_bytes": MAX_FILE_BYTES},
        "audit": {"delay_s": 3_600.0},  # tests of other things have both cores, and write rows that no log knows
        "api": {
            "port": api_port,
            "bootstrap_key_file": folder / "bootstrap.key",
            "secret_file": folder / "api.secret",
        },
        "canary": {"keys_file": folder / "canary.keys"},
        "local": {"state_folder": folder},
    }


def _variable(value: Any) -> str:
    """Write a setting's value as its environment variable: a table of secrets is JSON."""
    if isinstance(value, dict):
        return json.dumps({name: secret.get_secret_value() for name, secret in value.items()})
    return str(value)


async def _create(settings: Settings) -> None:
    await create_topics(settings)
    async with open_migrator(settings) as migrator:
        await migrator.apply()


async def _remove(settings: Settings) -> None:
    await KafkaAdmin(settings.kafka).delete([each.name for each in desired_topics(settings)])
    async with open_migrator(settings) as migrator:
        await migrator.rollback(to=0, force=True)
    await remove_records(settings)


def _ignore(name: str, what: str) -> None:
    """Progress is for people."""
