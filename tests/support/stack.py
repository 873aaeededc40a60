"""The real components that the tests of one run share."""

import asyncio
import fcntl
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from headwater.errors import FatalError
from headwater.local.installation import install
from headwater.local.stack import COMPONENTS, LocalStack
from headwater.settings import Settings
from tests.support.containers import container_stack

TEST_STATE = Path(".headwater/test")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStack:
    """Kafka, Elasticsearch, Milvus, Redis and Triton: up and answering."""

    settings: Settings  # points at the components
    environment: Mapping[str, str]  # the same for a child process: pass `{**os.environ, **stack.environment}`


@contextmanager
def running_stack(kind: str) -> Iterator[RunningStack]:
    """Start the components as HEADWATER_TEST_STACK says and stop them at the end.

    `local`: this project's embedded stack, on free ports. `containers`: the same from docker-compose.yml. `external`:
    what the exported HEADWATER_* variables name; nothing is started or stopped.
    """
    if kind == "external":
        named = {name: value for name, value in os.environ.items() if name.startswith("HEADWATER_")}
        yield RunningStack(settings=Settings(), environment=named)
    elif kind == "local":
        with infrastructure_in(TEST_STATE) as stack:
            yield RunningStack(settings=stack.running_settings(), environment=stack.environment())
    elif kind == "containers":
        with container_stack() as environment, _exported(environment):
            yield RunningStack(settings=Settings(), environment=environment)
    else:
        raise FatalError(f"HEADWATER_TEST_STACK is {kind!r}: choose local, containers or external")


@contextmanager
def infrastructure_in(state: Path, *, names: Collection[str] = tuple(COMPONENTS)) -> Iterator[LocalStack]:
    """Run components for all processes of one run: the first starts them empty, the last one stops them.

    Those in another state folder are others: who kills or wipes components takes a folder that nobody else names.

    Who uses them holds a lock that ends with the process, so one that was killed is not counted. Raises FatalError
    where another run in the same checkout uses the state folder: this one would empty it.
    """
    stack = LocalStack.of(Settings.model_validate({"local": {"state_folder": state, "ports": "free"}}))
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"alone {os.getpid()}")
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_suffix(".users").open("a") as users:
        with _one_at_a_time(state):
            if _is_only_user(users):
                state.with_suffix(".run").write_text(run)
                _start_empty(stack, frozenset(names))
            elif state.with_suffix(".run").read_text() != run:
                raise FatalError(f"another test run uses {state}: wait for it, or run in another checkout")
            fcntl.flock(users, fcntl.LOCK_SH)
        try:
            yield stack
        finally:
            with _one_at_a_time(state):
                fcntl.flock(users, fcntl.LOCK_UN)
                if _is_only_user(users):
                    asyncio.run(stack.down(_ignore))


def _start_empty(stack: LocalStack, names: frozenset[str]) -> None:
    """Start the components with empty stores. The last run's logs stay."""
    asyncio.run(stack.down(_ignore))  # what a killed run has left
    stack.purge()
    if "triton" in names:  # the only one with anything to build for each state folder
        install(stack.places, _ignore)
    try:
        asyncio.run(stack.up(_ignore, names=names))
    except BaseException:
        asyncio.run(stack.down(_ignore))
        raise


@contextmanager
def _one_at_a_time(state: Path) -> Iterator[None]:
    with state.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_only_user(users: TextIO) -> bool:
    """Take the users' lock for oneself; False where another process holds it."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _exported(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _ignore(name: str, what: str) -> None:
    """Progress is for people."""
