"""The real components that the tests of one run share."""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
        with _only_run(TEST_STATE), local_infrastructure(TEST_STATE) as stack:
            yield RunningStack(settings=stack.running_settings(), environment=stack.environment())
    elif kind == "containers":
        with container_stack() as environment, _exported(environment):
            yield RunningStack(settings=Settings(), environment=environment)
    else:
        raise FatalError(f"HEADWATER_TEST_STACK is {kind!r}: choose local, containers or external")


@contextmanager
def local_infrastructure(state: Path) -> Iterator[LocalStack]:
    """Run the five components with empty stores in a state folder of their own. The last run's logs stay."""
    stack = LocalStack.of(Settings.model_validate({"local": {"state_folder": state, "ports": "free"}}))
    asyncio.run(stack.down(_ignore))  # what a killed run has left
    stack.purge()
    install(stack.places, _ignore)
    try:
        asyncio.run(stack.up(_ignore, names=frozenset(COMPONENTS)))
        yield stack
    finally:
        asyncio.run(stack.down(_ignore))


@contextmanager
def _only_run(state: Path) -> Iterator[None]:
    """Hold the state folder for this run: a second one in the same checkout would empty it."""
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FatalError(f"another test run uses {state}: wait for it, or run in another checkout") from error
        yield


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
