"""`headwater generations list | create | compare | switch | rollback | drop`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from headwater.cli.comparison import compare_generations
from headwater.cli.output import AsJson, print_json, print_table, say, tell
from headwater.errors import FatalError
from headwater.generations.directory import GenerationsDirectory, read_directory
from headwater.generations.policy import DEFAULT_POLICY
from headwater.generations.records import Generations, Known
from headwater.heads.counting import Completeness, completeness
from headwater.local.applications import PER_GENERATION
from headwater.local.feeding import feed, unfeed
from headwater.local.stack import LocalStack
from headwater.settings import Settings
from schemas.events.base import Store
from schemas.events.directory import GenerationState
from schemas.ids import GenerationName

if TYPE_CHECKING:
    from headwater.generations.lifecycle import Lifecycle

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Name = Annotated[str, typer.Argument(help="The generation's name: lower-case letters, digits and `_`.")]
Policy = Annotated[
    str, typer.Option("--policy", help="How texts are cut, e.g. structure-1,max_tokens=128,max_context_tokens=48,...")
]
Model = Annotated[
    str | None,
    typer.Option("--embedding-model", help="What Triton calls it; that of the serving generation unless told."),
]
Patience = Annotated[float, typer.Option("--patience", min=0, help="Seconds to wait for what is on its way.")]
Force = Annotated[bool, typer.Option("--force", help="Go on although data is destroyed.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
_PATIENCE_S = 15.0


@app.command("list")
def list_generations(*, as_json: AsJson = False) -> None:
    """Show every generation: what it is, how much of it is built, and how long the rest will take."""
    settings = Settings()
    table = asyncio.run(read_directory(settings))
    generations = Generations.of(table, default=settings.generation)
    counted = completeness(settings.heads, tuple(each.record.name for each in generations.all))
    shown = [_progress(each, generations.serving, counted[each.record.name]) for each in generations.all]
    if as_json:
        print_json([asdict(each) for each in shown])
        return
    columns = ("name", "state", "policy", "model", "documents", "by words", "by meaning", "left", "rebuilding")
    print_table(columns, map(_row, shown))


@app.command()
def create(
    name: Name, policy: Policy = DEFAULT_POLICY.text, embedding_model: Model = None, *, as_json: AsJson = False
) -> None:
    """Build a generation beside the others, from the log and the caches; `list` shows how far it is."""
    known = _run(lambda lifecycle: lifecycle.create(GenerationName(name), policy=policy, model=embedding_model))
    made_of = f"{known.record.policy} and {known.record.model} ({known.record.dimension} dimensions)"
    _tell(known, f"{name} is being built with {made_of}", as_json=as_json)


@app.command()
def switch(name: Name, patience: Patience = _PATIENCE_S, *, as_json: AsJson = False) -> None:
    """Let a generation serve, once it has provably caught up; the one before is fed on, for a rollback."""
    known = _run(lambda lifecycle: lifecycle.switch(GenerationName(name), patience_s=patience))
    _tell(known, f"{name} serves", as_json=as_json)


@app.command()
def rollback(patience: Patience = _PATIENCE_S, *, as_json: AsJson = False) -> None:
    """Let the generation serve again that served before."""
    known = _run(lambda lifecycle: lifecycle.roll_back(patience_s=patience))
    _tell(known, f"{known.record.name} serves again", as_json=as_json)


@app.command()
def drop(name: Name, *, force: Force = False, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Remove a generation that does not serve: workers, positions, topics, index and collection."""
    gone = f"the workers, positions, chunk topics, index and collection of {name}"
    if dry_run:
        tell(f"would remove {gone}", {"name": name, "removed": False}, as_json=as_json)
        return
    if not force:
        raise FatalError(f"drop destroys {gone}, and a rollback to it; look with --dry-run, then say --force")
    _run(lambda lifecycle: lifecycle.drop(GenerationName(name)))
    tell(f"removed {gone}", {"name": name, "removed": True}, as_json=as_json)


app.command("compare")(compare_generations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One generation as `list` shows it."""

    name: GenerationName
    state: str  # serving, fed (it served before and can again), building, retired
    policy: str
    model: str
    dimension: int  # of its vectors
    documents: int  # not deleted
    by_words: int  # of these, complete in the store of words
    by_meaning: int
    left_s: float | None  # at the mean speed since it was created; none: nothing is left, or nothing is known
    rebuilding: tuple[Store, ...]


def _progress(known: Known, serving: GenerationName, counted: Completeness) -> Progress:
    record = known.record
    by_words, by_meaning = counted.complete[Store.KEYWORDS], counted.complete[Store.VECTORS]
    return Progress(
        name=record.name,
        state=_state(known, serving),
        policy=record.policy,
        model=record.model,
        dimension=record.dimension,
        documents=counted.alive,
        by_words=by_words,
        by_meaning=by_meaning,
        left_s=time_left_s(known, done=min(by_words, by_meaning), of=counted.alive, now=datetime.now(UTC)),
        rebuilding=record.rebuilding,
    )


def time_left_s(known: Known, *, done: int, of: int, now: datetime) -> float | None:
    """Return how long the rest of a generation that is being built takes at its mean speed so far."""
    record = known.record
    if record.state is not GenerationState.BUILDING or record.created_at is None or not 0 < done < of:
        return None
    return round((now - record.created_at).total_seconds() * (of - done) / done, 1)


def _state(known: Known, serving: GenerationName) -> str:
    if known.record.name == serving:
        return "serving"
    return "fed" if known.record.state is GenerationState.SERVING else known.record.state.value


def _row(each: Progress) -> tuple[object, ...]:
    left = None if each.left_s is None else timedelta(seconds=round(each.left_s))
    built = (each.documents, each.by_words, each.by_meaning)
    return (each.name, each.state, each.policy, each.model, *built, left, ", ".join(each.rebuilding) or None)


def _run(work: Callable[["Lifecycle"], Awaitable[T]]) -> T:
    # Both stores' clients take seconds to import: `list`, which is asked again and again, needs neither.
    from headwater.clients.triton.embedder import describe
    from headwater.generations.catching_up import CatchUp
    from headwater.generations.lifecycle import Lifecycle

    async def opened() -> T:
        settings = Settings()
        async with GenerationsDirectory.open(settings) as directory:
            feeders = LocalFeeders(stack=LocalStack.of(settings))

            async def prove(name: GenerationName, patience_s: float) -> None:
                await CatchUp(settings=settings, generation=name, patience_s=patience_s).prove()

            return await work(
                Lifecycle(
                    settings=settings,
                    directory=directory,
                    feeders=feeders,
                    prove=prove,
                    describe=partial(describe, settings.triton),
                )
            )

    return asyncio.run(opened())


def _tell(known: Known, text: str, *, as_json: bool) -> None:
    shown: dict[str, Any] = {**asdict(known.record), "revision": known.revision}
    tell(text, shown, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFeeders:
    """The embedded stack where it runs; elsewhere a sentence for whoever runs the processes."""

    stack: LocalStack

    async def start(self, generation: GenerationName) -> None:
        """See Feeders."""
        if not await feed(self.stack, generation, _say):
            say(f"now start {_processes()} with HEADWATER_GENERATION={generation}")

    async def stop(self, generation: GenerationName) -> None:
        """See Feeders."""
        if not await unfeed(self.stack, generation, _say):
            say(f"stop {_processes()} of {generation} now, unless you have")


def _say(name: str, what: str) -> None:
    say(f"{name}: {what}")


def _processes() -> str:
    return ", ".join(f"`python -m streams {stage}`" for stage in PER_GENERATION)
