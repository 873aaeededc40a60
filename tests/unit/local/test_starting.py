import asyncio
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from headwater.errors import FatalError
from headwater.local import starting
from headwater.local.places import Places
from headwater.local.process import Probe, Process, Task, Tier
from headwater.local.starting import Starter, stop_all
from headwater.local.supervisor import ProcessState, Supervisor, log_file


class FakeSupervisor:
    """Processes run as soon as they are started, unless they are said to fail."""

    def __init__(self, names: tuple[str, ...], failing: frozenset[str] = frozenset()) -> None:
        self.state = dict.fromkeys(names, "STOPPED")
        self.failing = failing
        self.calls: list[str] = []

    def states(self) -> dict[str, ProcessState]:
        return {
            name: ProcessState(name=name, state=state, pid=None, uptime_s=0, exit_status=0)
            for name, state in self.state.items()
        }

    def start(self, name: str) -> None:
        self.calls.append(f"start {name}")
        self.state[name] = "BACKOFF" if name in self.failing else "RUNNING"

    def stop(self, name: str) -> None:
        self.calls.append(f"stop {name}")
        self.state[name] = "STOPPED"


def process(name: str, *needs: str) -> Process:
    return Process(
        name=name,
        tier=Tier.APPLICATION,
        command=("true",),
        probe=Probe.MANAGEMENT,
        port=1,
        needs=needs,
        start_timeout_s=5,
    )


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[FakeSupervisor], Starter]:
    def of(supervisor: FakeSupervisor) -> Starter:
        async def is_ready(asked: Process) -> bool:
            await asyncio.sleep(0)
            return supervisor.state[asked.name] == "RUNNING"

        monkeypatch.setattr(starting, "is_ready", is_ready)
        return Starter(
            supervisor=cast("Supervisor", supervisor),
            places=Places(state=tmp_path, cache=tmp_path, components=tmp_path),
            environment={},
            prepare=lambda asked: supervisor.calls.append(f"prepare {asked.name}"),
            report=lambda name, what: supervisor.calls.append(f"{name} {what}"),
        )

    return of


async def test_a_process_waits_until_what_it_needs_is_ready(start: Callable[[FakeSupervisor], Starter]) -> None:
    supervisor = FakeSupervisor(("broker", "stage"))
    task = Task(name="topics", command=(sys.executable, "-c", ""), needs=("broker",))
    await start(supervisor).run([process("stage", "topics"), process("broker")], [task])
    assert supervisor.calls == [
        "prepare broker",
        "start broker",
        "broker ready",
        "topics done",
        "prepare stage",
        "start stage",
        "stage ready",
    ]


async def test_what_runs_is_neither_prepared_nor_started_again(start: Callable[[FakeSupervisor], Starter]) -> None:
    supervisor = FakeSupervisor(("broker",))
    supervisor.state["broker"] = "RUNNING"
    await start(supervisor).run([process("broker")], [])
    assert supervisor.calls == ["broker ready"]


async def test_a_process_that_fails_is_quoted_and_what_needs_it_is_not_started(
    start: Callable[[FakeSupervisor], Starter],
) -> None:
    supervisor = FakeSupervisor(("broker", "stage"), failing=frozenset({"broker"}))
    starter = start(supervisor)
    log = log_file(starter.places, "broker")
    log.parent.mkdir()
    log.write_text("starting\nno space left on device\n")
    with pytest.raises(FatalError, match=r"broker ends right after its start: .*no space left on device .*broker\.log"):
        await starter.run([process("broker"), process("stage", "broker")], [])
    assert "start stage" not in supervisor.calls


async def test_a_process_that_hangs_at_its_start_is_begun_again(
    start: Callable[[FakeSupervisor], Starter], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = FakeSupervisor(("models",))
    starter = start(supervisor)

    async def ready_from_the_third_start(asked: Process) -> bool:
        await asyncio.sleep(0)
        return supervisor.calls.count(f"start {asked.name}") == 3

    monkeypatch.setattr(starting, "is_ready", ready_from_the_third_start)
    await starter.run([replace(process("models"), hung_after_s=0.01)], [])
    again = ["models hangs at its start, begun again", "stop models", "models stopped", "start models"]
    assert supervisor.calls == ["prepare models", "start models", *again, *again, "models ready"]


async def test_attempts_end_with_the_time_of_the_start(
    start: Callable[[FakeSupervisor], Starter], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = FakeSupervisor(("models",))
    starter = start(supervisor)

    async def never(_: Process) -> bool:
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(starting, "is_ready", never)
    with pytest.raises(FatalError, match="models was not ready within 0 s"):
        await starter.run([replace(process("models"), start_timeout_s=0.1, hung_after_s=0.02)], [])
    assert supervisor.calls.count("start models") == 3  # after 0, 0.02 and 0.06 s


async def test_a_task_that_fails_is_quoted(start: Callable[[FakeSupervisor], Starter]) -> None:
    task = Task(name="topics", command=(sys.executable, "-c", "raise SystemExit('no such catalogue')"), needs=())
    with pytest.raises(FatalError, match="topics failed with status 1: no such catalogue"):
        await start(FakeSupervisor(())).run([], [task])


async def test_only_what_is_up_is_stopped() -> None:
    supervisor = FakeSupervisor(("broker", "stage"))
    supervisor.state["broker"] = "RUNNING"
    await stop_all(cast("Supervisor", supervisor), ["broker", "stage"], lambda *_: None)
    assert supervisor.calls == ["stop broker"]
