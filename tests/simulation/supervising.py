"""A place for a process, kept filled: what supervisord or Kubernetes does."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any

from headwater.clients.kafka.errors import OffsetExpiredError
from tests.simulation.process import CURRENT, WORLD, Host, Process

_RESTART_S = 1.5


@dataclass(slots=True, kw_only=True, eq=False)
class Worker:
    """A place that a supervisor keeps filled with a process."""

    name: str
    host: Host
    start: Callable[["Worker"], Coroutine[Any, Any, None]]
    random: Random
    process: Process | None = None
    fresh_disk: int = 0  # grows when its process moves to another machine
    crashes: list[str] = field(default_factory=list)
    held: bool = False  # nobody starts it again

    @property
    def stage(self) -> str:
        """What all workers of a stage have in common: its name, with that of a generation which was created."""
        return self.name.rpartition("-")[0]

    def launch(self) -> None:
        """Start a process; another one follows when it ends."""
        process = self.process = Process(name=self.name, host=self.host, random=self.random)
        WORLD.get().processes.append(process)
        context = copy_context()
        context.run(CURRENT.set, process)
        asyncio.get_running_loop().create_task(self._live(process), context=context)

    async def _live(self, process: Process) -> None:
        try:
            await self.start(self)
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - a process ends with its sentence; its supervisor goes on
            self.crashes.append(f"{type(error).__name__}: {error}")
            if isinstance(error, OffsetExpiredError):
                WORLD.get().operator.read_of_a_gap(self.name)
        finally:
            process.kill()
            if self.process is process:
                pause_s = _RESTART_S * self.random.uniform(0.5, 1.5)
                asyncio.get_running_loop().call_later(pause_s, self._relaunch, process)

    def _relaunch(self, process: Process) -> None:
        if self.process is process and not self.held:
            self.launch()

    def hold(self) -> None:
        """Kill it, and start no other one."""
        self.held = True
        if self.process is not None:
            self.process.kill()

    def release(self) -> None:
        """Fill the place again."""
        if self.held:
            self.held = False
            self.launch()

    def replace(self) -> None:
        """Leave the process to itself, alive or frozen, and start another one elsewhere."""
        self.fresh_disk += 1
        self.launch()
