"""The embedded stack itself, started and stopped for real: it shares nothing with the stack of the other tests."""

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from headwater.local.doctor import examine
from headwater.local.installation import install
from headwater.local.ports import in_use
from headwater.local.process import Process
from headwater.local.readiness import is_ready
from headwater.local.stack import LocalStack
from headwater.local.status import read_status
from headwater.settings import Settings

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
# Elasticsearch and Triton take the longest to start and most of the memory: the other tests' stack, which is started
# and awaited by the same code, has them.
NAMES = frozenset({"kafka", "milvus", "redis"})


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    state = tmp_path_factory.mktemp("state")
    stack = LocalStack.of(Settings.model_validate({"local": {"state_folder": state, "ports": "free"}}))
    install(stack.places, ignore)
    asyncio.run(stack.up(ignore, names=NAMES))
    try:
        yield stack
    finally:
        asyncio.run(stack.down(ignore))
        stack.purge()


def ignore(name: str, what: str) -> None:
    """Nobody watches."""


def table(stack: LocalStack) -> Mapping[str, Process]:
    return {process.name: process for process in stack.processes()}


def pid(stack: LocalStack, name: str) -> int | None:
    supervisor = stack.supervisor()
    assert supervisor is not None
    return supervisor.states()[name].pid


async def until_ready_again(stack: LocalStack, name: str, *, killed: int) -> None:
    async with asyncio.timeout(120):
        while pid(stack, name) in {None, killed} or not await is_ready(table(stack)[name]):  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.2)


async def test_only_what_was_asked_for_runs_and_all_of_it_is_ready(embedded: LocalStack) -> None:
    supervisor = embedded.supervisor()
    assert supervisor is not None
    seen = await read_status(embedded.running_settings(), embedded.processes(), supervisor.states())
    assert {process.state.name for process in seen.processes if process.ready} == NAMES
    assert seen.parked == 0
    assert {stage.events for stage in seen.stages} == {0}


async def test_a_killed_component_comes_back_with_its_data(embedded: LocalStack) -> None:
    admin = AdminClient({"bootstrap.servers": embedded.running_settings().kafka.bootstrap_servers})
    created = admin.create_topics([NewTopic("before-the-kill", 1, 1)])["before-the-kill"]
    await asyncio.to_thread(created.result, 30)
    killed = pid(embedded, "kafka")
    assert killed is not None

    os.kill(killed, signal.SIGKILL)
    await until_ready_again(embedded, "kafka", killed=killed)

    topics = await asyncio.to_thread(lambda: admin.list_topics(timeout=20).topics)
    assert "before-the-kill" in topics


async def test_a_second_up_starts_nothing_anew(embedded: LocalStack) -> None:
    before = {name: pid(embedded, name) for name in NAMES}
    await embedded.up(ignore, names=NAMES)
    assert {name: pid(embedded, name) for name in NAMES} == before


def test_the_doctor_finds_nothing_wrong_with_what_runs(embedded: LocalStack) -> None:
    findings = {finding.check: finding for finding in examine(embedded)}
    assert {name for name in NAMES if findings[name].ok} == NAMES
    assert findings["checksums"].ok


def test_only_this_user_reaches_the_supervisor(embedded: LocalStack) -> None:
    assert embedded.places.socket.parent.stat().st_mode & 0o077 == 0
    assert embedded.places.configuration.stat().st_mode & 0o077 == 0


def test_a_stack_that_is_stopped_leaves_no_listener_and_starts_again_where_it_was(tmp_path: Path) -> None:
    stack = LocalStack.of(Settings.model_validate({"local": {"state_folder": tmp_path / "state", "ports": "free"}}))
    asyncio.run(stack.up(ignore, names=frozenset({"redis", "milvus"})))
    ports = {name: table(stack)[name].port for name in ("redis", "milvus")}
    socket = stack.places.socket
    assert asyncio.run(stack.down(ignore))
    assert not any(map(in_use, ports.values()))
    assert not socket.exists()
    assert not asyncio.run(stack.down(ignore)), "nothing was left to stop"

    asyncio.run(stack.up(ignore, names=frozenset({"redis"})))
    assert table(stack)["redis"].port == ports["redis"]
    assert asyncio.run(stack.down(ignore))

    stack.purge()
    assert [path.name for path in stack.places.state.iterdir()] == []
