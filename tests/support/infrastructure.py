"""The processes of a product, and the components below it, as things that can be killed, frozen and stopped."""

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from headwater.demo.stage import wait_until
from headwater.errors import FatalError
from headwater.local.process import Process
from headwater.local.readiness import is_ready
from headwater.local.stack import COMPONENTS, LocalStack
from headwater.local.supervisor import Supervisor
from tests.support.platform import Platform
from tests.support.proxy import Proxy

PATIENCE_S: Final = 240.0  # Elasticsearch on a machine that many share
STOPPED_S, RUNNING_S = 0.9, 0.1  # of each second of a process that is slowed down


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A supervised process."""

    process: Process
    supervisor: Supervisor

    def pid(self) -> int | None:
        """Return its process id while it runs."""
        return self.supervisor.states()[self.process.name].pid

    def running_pid(self) -> int:
        """Return its process id, waiting while it is being started. It is its group's as well: the supervisor's way."""
        pid, _ = wait_until(f"{self.process.name} to run", self.pid)
        return pid

    def kill(self) -> int:
        """Kill it with all that it has started, as a machine that goes down would; return its process id."""
        pid = self.running_pid()
        os.killpg(pid, signal.SIGKILL)
        return pid

    def await_return(self, killed: int | None = None) -> None:
        """Return when another process has taken its place and is ready."""
        wait_until(
            f"{self.process.name} to be back",
            lambda: self.pid() not in {None, killed} and asyncio.run(is_ready(self.process)),
            patience_s=PATIENCE_S,
        )

    def stop(self) -> None:
        """Let it end, and stay away."""
        self.supervisor.stop(self.process.name)
        wait_until(f"{self.process.name} to end", lambda: self.pid() is None)

    def start(self) -> None:
        """Start it again; return when it is ready."""
        self.supervisor.start(self.process.name)
        self.await_return()


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """All that may be struck, by name."""

    victims: Mapping[str, Victim]
    proxies: Mapping[str, Proxy] = field(default_factory=dict)  # before components that others use as well

    def kill(self, names: Sequence[str]) -> None:
        """Kill them all at once; return when each is back and ready."""
        killed = {name: self.victims[name].kill() for name in names}
        for name, pid in killed.items():
            self.victims[name].await_return(pid)

    @contextmanager
    def away(self, name: str) -> Iterator[None]:
        """Have a process stopped within the block; it is back and ready at the end."""
        victim = self.victims[name]
        victim.stop()
        try:
            yield
        finally:
            victim.start()

    def wipe(self, name: str) -> None:
        """Stop a process, remove the folder that it works in, and start it again; return when it is ready.

        Raises ValueError where it has no folder of its own.
        """
        victim = self.victims[name]
        folder = victim.process.folder
        if folder is None:
            raise ValueError(f"{name} works in no folder of its own")
        victim.stop()
        shutil.rmtree(folder)
        folder.mkdir()
        victim.start()

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stop a process within the block: whoever calls it gets no answer, and no refusal either."""
        pid = self.victims[name].running_pid()
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGCONT)

    @contextmanager
    def slowed(self, name: str) -> Iterator[None]:
        """Let a process run for a tenth of the time only within the block."""
        ending = threading.Event()
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="brake") as thread:
            braked = thread.submit(self._brake, name, ending)
            try:
                yield
            finally:
                ending.set()
        braked.result()

    @contextmanager
    def cut(self, name: str) -> Iterator[None]:
        """End each of the product's connections to a component within the block. Fails where there was none to end.

        Raises ValueError where the product reaches the component without a proxy.
        """
        proxy = self.proxies.get(name)
        if proxy is None:
            raise ValueError(f"no proxy stands before {name}: its connections cannot be cut")
        before = proxy.ended
        with proxy.cut():
            yield
        assert proxy.ended > before, f"{name} was cut off, and nobody was connected to it"

    def _brake(self, name: str, ending: threading.Event) -> None:
        pid = self.victims[name].running_pid()
        while not ending.is_set():
            os.killpg(pid, signal.SIGSTOP)
            ending.wait(STOPPED_S)
            os.killpg(pid, signal.SIGCONT)
            ending.wait(RUNNING_S)


def infrastructure_of(
    platform: Platform, components: LocalStack | None = None, proxies: Mapping[str, Proxy] | None = None
) -> Infrastructure:
    """Find a product's processes and, where these are the test's own, the components that run.

    Raises FatalError where the components are not running.
    """
    victims = [Victim(process=each, supervisor=platform.supervisor) for each in platform.processes]
    if components is not None:
        supervisor = components.supervisor()
        if supervisor is None:
            raise FatalError(f"nothing runs in {components.places.state}: there is nothing to strike")
        running = {name for name, state in supervisor.states().items() if state.pid is not None}
        table = [each for each in components.processes() if each.name in running & COMPONENTS.keys()]
        victims += [Victim(process=each, supervisor=supervisor) for each in table]
    return Infrastructure(victims={each.process.name: each for each in victims}, proxies=proxies or {})
