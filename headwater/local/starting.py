"""Bringing processes up and down, in the order that they need each other."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from headwater.errors import FatalError
from headwater.local.places import Places
from headwater.local.process import Process, Task
from headwater.local.readiness import is_ready
from headwater.local.supervisor import Supervisor, log_file

Report = Callable[[str, str], None]  # a process or task, and what happened to it

# Quick at first, for what is there already; then rare, because each poll costs CPU that starting processes want.
_FIRST_POLL_S = 0.1
_LAST_POLL_S = 1.0
_POLL_FACTOR = 1.3
_DOWN = frozenset({"STOPPED", "EXITED", "FATAL", "UNKNOWN"})
_FAILED = frozenset({"BACKOFF", "EXITED", "FATAL", "UNKNOWN"})
_LAST_LINES = 3
_LAST_BYTES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """Starts processes and runs tasks under one supervisor."""

    supervisor: Supervisor
    places: Places
    environment: Mapping[str, str]  # of tasks; processes have theirs from the supervisor
    prepare: Callable[[Process], None]  # called before a process that is down is started
    report: Report

    async def run(self, processes: Sequence[Process], tasks: Sequence[Task]) -> None:
        """Start each as soon as what it needs is ready; what it needs beyond the given ones is taken to be there.

        Raises FatalError for the first that fails; the others are not waited for.
        """
        steps: dict[str, Process | Task] = {process.name: process for process in processes}
        steps |= {task.name: task for task in tasks}
        order = TopologicalSorter({name: steps.keys() & set(step.needs) for name, step in steps.items()})
        order.prepare()
        under_way: dict[asyncio.Task[None], str] = {}
        try:
            while order.is_active():
                for name in order.get_ready():
                    under_way[asyncio.create_task(self._bring_up(steps[name]))] = name
                finished, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for done in finished:
                    order.done(under_way.pop(done))
                    done.result()
        finally:
            for waiting in under_way:
                waiting.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _bring_up(self, step: Process | Task) -> None:
        if isinstance(step, Task):
            await self._run_task(step)
            return
        if self.supervisor.states()[step.name].state in _DOWN:
            await asyncio.to_thread(self.prepare, step)
            self.supervisor.start(step.name)
        await self._wait_until_ready(step)
        self.report(step.name, "ready")

    async def _wait_until_ready(self, process: Process) -> None:
        attempt_s = process.hung_after_s
        try:
            async with asyncio.timeout(process.start_timeout_s):
                while not await self._is_ready_within(process, attempt_s):
                    self.report(process.name, "hangs at its start, begun again")
                    await self._begin_again(process)
                    attempt_s = 2 * attempt_s if attempt_s else None
        except TimeoutError as error:
            raise FatalError(
                f"{process.name} was not ready within {process.start_timeout_s:.0f} s: {self._last_words(process)}"
            ) from error

    async def _is_ready_within(self, process: Process, attempt_s: float | None) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(attempt_s) as attempt:
                delay_s = _FIRST_POLL_S
                while not await is_ready(process):
                    state = self.supervisor.states()[process.name].state
                    if state in _FAILED:
                        raise FatalError(f"{process.name} ends right after its start: {self._last_words(process)}")
                    await asyncio.sleep(delay_s)
                    delay_s = min(delay_s * _POLL_FACTOR, _LAST_POLL_S)
        return not attempt.expired()

    async def _begin_again(self, process: Process) -> None:
        await stop_all(self.supervisor, [process.name], self.report)
        self.supervisor.start(process.name)

    async def _run_task(self, task: Task) -> None:
        running = await asyncio.create_subprocess_exec(
            *task.command, env=self.environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(task.timeout_s):
                output, _ = await running.communicate()
        except (TimeoutError, asyncio.CancelledError):
            running.kill()
            await running.wait()
            raise
        if running.returncode != 0:
            last = output.decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
            raise FatalError(f"{task.name} failed with status {running.returncode}: {' | '.join(last)}")
        self.report(task.name, "done")

    def _last_words(self, process: Process) -> str:
        path = log_file(self.places, process.name)
        return f"{' | '.join(last_lines(path))} (log: {path})"


async def stop_all(supervisor: Supervisor, names: Sequence[str], report: Report) -> None:
    """Ask all of them to stop at once and wait; the supervisor kills those that outstay their grace."""
    up = [name for name in names if supervisor.states()[name].state not in _DOWN]
    for name in up:
        supervisor.stop(name)
    while up:
        states = supervisor.states()
        for name in [name for name in up if states[name].state in _DOWN]:
            report(name, "stopped")
            up.remove(name)
        if up:
            await asyncio.sleep(_FIRST_POLL_S)


def last_lines(path: Path, count: int = _LAST_LINES) -> list[str]:
    """Return the end of a log, or nothing where there is no log."""
    with suppress(FileNotFoundError), path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _LAST_BYTES))
        return stream.read().decode(errors="replace").splitlines()[-count:]
    return []
