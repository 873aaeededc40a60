"""The session's components, and the API, as things that can be killed; their supervisors start them again."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from headwater.demo.stage import wait_until
from headwater.errors import FatalError
from headwater.local.process import Process
from headwater.local.readiness import is_ready
from headwater.local.stack import COMPONENTS, LocalStack
from headwater.local.supervisor import Supervisor
from headwater.settings import Settings
from tests.support.platform import Platform
from tests.support.stack import RunningStack

API = "query-api"
PATIENCE_S = 240.0  # Elasticsearch on a machine that many share


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A process that may be killed."""

    name: str
    supervisor: Supervisor
    is_ready: Callable[[], bool]

    def pid(self) -> int | None:
        """Return its process id while it runs."""
        return self.supervisor.states()[self.name].pid

    def kill(self) -> int:
        """Kill it with all that it has started, as a machine that goes down would; return its process id."""
        pid, _ = wait_until(f"{self.name} to run", self.pid)
        os.killpg(pid, signal.SIGKILL)  # the supervisor gives each process a group of its own
        return pid

    def await_return(self, killed: int) -> None:
        """Return when another process has taken its place and is ready."""
        wait_until(
            f"{self.name} to be back",
            lambda: self.pid() not in {None, killed} and self.is_ready(),
            patience_s=PATIENCE_S,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Infrastructure:
    """Whatever is not one of our stages."""

    victims: Mapping[str, Victim]

    def kill(self, names: Sequence[str]) -> None:
        """Kill them all at once; return when each is back and ready."""
        killed = {name: self.victims[name].kill() for name in names}
        for name, pid in killed.items():
            self.victims[name].await_return(pid)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stop a process within the block: whoever calls it gets no answer, and no refusal either."""
        pid, _ = wait_until(f"{name} to run", self.victims[name].pid)
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGCONT)


def infrastructure_of(platform: Platform, stack: RunningStack) -> Infrastructure:
    """Find who supervises the components. Raises FatalError where nobody does: containers cannot be killed yet."""
    local = LocalStack.of(Settings.model_validate({"local": {"state_folder": stack.settings.local.state_folder}}))
    supervisor = local.supervisor()
    if supervisor is None:
        raise FatalError("outages need components that are supervised here: set HEADWATER_TEST_STACK=local")
    components = [
        Victim(name=each.name, supervisor=supervisor, is_ready=_asking(each))
        for each in local.processes()
        if each.name in COMPONENTS
    ]
    api = Victim(name=API, supervisor=platform.supervisor, is_ready=lambda: _answers(platform))
    return Infrastructure(victims={each.name: each for each in (*components, api)})


def _asking(process: Process) -> Callable[[], bool]:
    return lambda: asyncio.run(is_ready(process))


def _answers(platform: Platform) -> bool:
    return bool(platform.admin.call("GET", "/directory/users"))
