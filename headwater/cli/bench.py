"""`headwater bench`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from headwater.cli.output import AsJson, print_json, print_table, say
from headwater.cli.stack import chosen_names
from headwater.errors import FatalError
from headwater.local.installation import install
from headwater.local.interrupts import interruptible, undisturbed
from headwater.local.process import Tier
from headwater.local.stack import LocalStack
from headwater.settings import LocalSettings, Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
CHECKOUT: Final = Path(__file__).parents[2]
# In installations of their own, on the components.
APART: Final = frozenset({"verify", "rebuild", "throughput", "sources", "listing"})
_LIMIT_S: Final = 4 * 3600  # of all benchmarks together, on the slowest machine
_CLEAN_UP_S: Final = 180.0  # after an interruption: an installation of a benchmark's own is stopped and removed


@app.command()
def bench(
    names: Annotated[
        list[str],
        typer.Argument(
            help="embedder, ingest, history, edit, fusion, search, lanes, memory, soak, verify, rebuild, throughput, "
            "sources, listing; or all (but soak)."
        ),
    ],
    *,
    running: Annotated[bool, typer.Option("--running", help="Measure the running stack, beside its data.")] = False,
    pages: Annotated[
        int | None, typer.Option(min=1, help="Pages of the handbook that `ingest`, `rebuild` and `throughput` take.")
    ] = None,
    chunks: Annotated[
        int | None, typer.Option(min=8, help="How many rows `verify` compares; goals are for 100000.")
    ] = None,
    documents: Annotated[
        int | None,
        typer.Option(
            min=100, help="Documents that `lanes` has backfilled (its goal: 5000), `sources`, `listing` list."
        ),
    ] = None,
    minutes: Annotated[int | None, typer.Option(min=1, help="Minutes that `soak` takes: 20 unless said.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure on an empty stack of its own, then stop it. Exits 1 where a goal is missed, or one was not completed."""
    if not (CHECKOUT / "tests" / "performance").is_dir():
        raise FatalError("the benchmarks are not part of this installation: run them in a checkout, `make bench`")
    settings = Settings()
    stacks = _running(settings) if running else _own_stack(settings, apart=APART.issuperset(names))
    sizes = _sizes(pages=pages, chunks=chunks, documents=documents, minutes=minutes)
    with interruptible(), stacks as stack:
        results = _measure([*names, *sizes], stack)
    if as_json:
        print_json(results)
    else:
        for result in results:
            _show(result)
    failed = [f"{result['benchmark']} ({result['error']})" for result in results if result["error"] is not None]
    missed = [figure["name"] for result in results for figure in result["figures"] if figure["met"] is False]
    if failed:
        say(f"not completed: {'; '.join(failed)}")
    if missed:
        say(f"goals missed: {'; '.join(missed)}")
    if failed or missed:
        raise typer.Exit(1)


def _sizes(**sizes: int | None) -> Iterator[str]:
    return (f"--{name}={size}" for name, size in sizes.items() if size is not None)


def _measure(arguments: Sequence[str], stack: LocalStack) -> list[dict[str, Any]]:
    """Run the benchmarks in a process of their own: they are no part of the product."""
    with subprocess.Popen(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", "tests.performance", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, **stack.environment()},
        stdout=subprocess.PIPE,
        process_group=0,  # Ctrl-C reaches it through us alone: a second one would cut its own cleaning up short
    ) as measuring:
        try:
            output, _ = measuring.communicate(timeout=_LIMIT_S)
        finally:
            with undisturbed():
                _end(measuring)
    if measuring.returncode:
        raise FatalError("the benchmarks could not be run; the lines above say why")
    results: list[dict[str, Any]] = json.loads(output)
    return results


def _end(measuring: "subprocess.Popen[bytes]") -> None:
    """Interrupt the benchmarks where they still run, and let them stop what they have started."""
    if measuring.poll() is None:
        measuring.send_signal(signal.SIGINT)
        try:
            measuring.wait(_CLEAN_UP_S)
        except subprocess.TimeoutExpired:
            measuring.kill()
            measuring.wait()


@contextmanager
def _running(settings: Settings) -> Iterator[LocalStack]:
    yield LocalStack.of(settings)


@contextmanager
def _own_stack(given: Settings, *, apart: bool) -> Iterator[LocalStack]:
    """Start an empty stack beside the user's, on free ports; stop it and remove its data at the end.

    Of the components alone where everything is measured apart: processes of ours would only be load beside it.
    """
    folder = given.local.state_folder / "bench"
    local = LocalSettings(state_folder=folder, cache_folder=given.local.cache_folder, ports="free")
    stack = LocalStack.of(given.model_copy(update={"local": local}))
    install(stack.places, lambda component, doing: say(f"{component}: {doing}"))
    asyncio.run(stack.down(_silent))  # what a killed run has left
    stack.purge()
    try:
        say("starting a stack")
        only = (Tier.INFRASTRUCTURE,) if apart else ()
        names = chosen_names(stack, only, ("canary",))  # it would be measured, too
        asyncio.run(stack.up(_silent, names=names))
        yield stack
    finally:
        say("stopping it")
        with undisturbed():
            asyncio.run(stack.down(_silent))
            stack.purge()


def _show(result: Mapping[str, Any]) -> None:
    machine = result["machine"]
    title = (
        f"{result['benchmark']}: {machine['cores']} cores, {machine['cpu']}, {machine['memory_gib']} GiB; "
        f"load {machine['load']} before, {result['load_after']} after"
    )
    print_table(("figure", "measured", "", "goal", ""), map(_row, result["figures"]), title=title)
    typer.echo()


def _row(figure: Mapping[str, Any]) -> tuple[object, ...]:
    goal = None if figure["goal"] is None else f"{figure['bound']} {figure['goal']:.4g}"
    met = {True: "met", False: "MISSED", None: ""}[figure["met"]]
    return figure["name"], f"{figure['value']:,.4g}", figure["unit"], goal, met


def _silent(_name: str, _doing: str) -> None:
    """Say nothing: starting is not what is measured."""
