"""`headwater rebuild keywords | vectors`."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Annotated

import typer

from headwater.cli.output import AsJson, print_json, say
from headwater.errors import FatalError
from headwater.generations.directory import serving
from headwater.generations.positions import Way
from headwater.generations.rebuilding import Rebuild
from headwater.local.applications import name_of
from headwater.local.stack import LocalStack
from headwater.settings import Settings
from schemas.events.base import Store
from schemas.ids import GenerationName

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Generation = Annotated[str | None, typer.Option("--generation", help="Whose store; by default the one that serves.")]
KeepRows = Annotated[bool, typer.Option("--keep-rows", help="Add what is missing; do not empty the store first.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a rebuild that was interrupted.")]
_STOP_S = 40.0
_SAY_EVERY_S = 5.0


@app.command()
def keywords(
    generation: Generation = None, *, keep_rows: KeepRows = False, resume: Resume = False, as_json: AsJson = False
) -> None:
    """Empty Elasticsearch's rows of a generation and fill them again; questions are answered by meaning meanwhile."""
    _rebuild(Store.KEYWORDS, generation, keep_rows=keep_rows, resume=resume, as_json=as_json)


@app.command()
def vectors(
    generation: Generation = None, *, keep_rows: KeepRows = False, resume: Resume = False, as_json: AsJson = False
) -> None:
    """Empty Milvus' rows of a generation and fill them again; questions are answered by words meanwhile."""
    _rebuild(Store.VECTORS, generation, keep_rows=keep_rows, resume=resume, as_json=as_json)


def _rebuild(store: Store, generation: str | None, *, keep_rows: bool, resume: bool, as_json: bool) -> None:
    settings = Settings()
    own = settings.generation
    name = asyncio.run(serving(settings)) if generation is None else GenerationName(generation)
    settings = settings.model_copy(update={"generation": name})
    began = time.monotonic()
    rebuild = Rebuild(
        settings=settings,
        store=store,
        workers=LocalWorkers(settings=settings, first=own),
        report=_quiet if as_json else Teller(began_s=began),
    )
    way = asyncio.run(rebuild.resumed() if resume else rebuild.afresh(wipe=not keep_rows))
    took_s = round(time.monotonic() - began, 1)
    if as_json:
        print_json({"store": store.value, "generation": settings.generation, "took_s": took_s, **asdict(way)})
    else:
        say(f"{store} of {settings.generation} are complete again after {took_s} s")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWorkers:
    """Workers on this machine: the embedded stack's index stage where one runs, and a child process that rebuilds."""

    settings: Settings  # of the generation whose store it is
    first: GenerationName  # the settings' own, whose processes have no suffix

    @contextmanager
    def without_index_stage(self, store: Store) -> Iterator[None]:
        """See Workers. Where no embedded stack runs, its operator has stopped the stage: that is checked."""
        supervisor = LocalStack.of(self.settings).supervisor()
        stage, generation = f"index-{store}", self.settings.generation
        name = stage if generation == self.first else name_of(stage, generation)
        if supervisor is None or name not in supervisor.states():
            yield
            return
        supervisor.stop(name)
        try:
            yield
        finally:
            supervisor.start(name)

    @contextmanager
    def rebuilding(self, store: Store) -> Iterator[Callable[[], None]]:
        """See Workers. More workers may be started elsewhere with the same settings: they share the partitions."""
        name = f"rebuild-{store}"
        variables = {"HEADWATER_GENERATION": self.settings.generation, "HEADWATER_MANAGEMENT__PORT": "0"}
        worker = subprocess.Popen([sys.executable, "-m", "streams", name], env={**os.environ, **variables})  # noqa: S603 - this interpreter, our own module

        def require_alive() -> None:
            if worker.poll() is not None:
                raise FatalError(
                    f"{name} ended with {worker.returncode}, its last lines are above; then go on with "
                    f"`headwater rebuild {store} --generation {self.settings.generation} --resume`"
                )

        try:
            yield require_alive
        finally:
            worker.terminate()
            try:
                worker.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait(_STOP_S)


@dataclass(slots=True, kw_only=True)
class Teller:
    """Says every few seconds how far the work is, and how long it will take at the speed so far."""

    began_s: float
    clock: Callable[[], float] = time.monotonic
    _first: tuple[float, int] | None = None  # when the first position was seen, and which
    _said_s: float = field(default=float("-inf"))

    def __call__(self, what: str, way: Way) -> None:
        """Take note of a position."""
        now = self.clock()
        if self._first is None:
            self._first = (now, way.done)
        if now - self._said_s < _SAY_EVERY_S and way.left:
            return
        self._said_s = now
        share = 100.0 * way.done / way.total if way.total else 100.0
        say(f"{now - self.began_s:6.1f} s  {what}: {share:.0f} % of {way.total} events{self._remaining(now, way)}")

    def _remaining(self, now: float, way: Way) -> str:
        since_s, done = self._first or (now, way.done)
        if way.done <= done or not way.left:
            return ""
        return f", about {way.left * (now - since_s) / (way.done - done):.0f} s left"


def _quiet(what: str, way: Way) -> None:
    """Programs read the result only."""
