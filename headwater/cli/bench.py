"""`headwater bench`."""

import asyncio
import json
import os
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
from headwater.local.stack import LocalStack
from headwater.settings import LocalSettings, Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
CHECKOUT: Final = Path(__file__).parents[2]
_LIMIT_S: Final = 4 * 3600  # of all benchmarks together, on the slowest machine


@app.command()
def bench(
    names: Annotated[
        list[str],
        typer.Argument(
            help="embedder, ingest, history, edit, fusion, search, lanes, memory, verify; soak; or all (but soak)."
        ),
    ],
    *,
    running: Annotated[bool, typer.Option("--running", help="Measure the running stack, beside its data.")] = False,
    minutes: Annotated[float, typer.Option(help="How long `soak` takes.", min=1)] = 20.0,
    documents: Annotated[int, typer.Option(help="How many documents `lanes` has backfilled.", min=100)] = 5_000,
    as_json: AsJson = False,
) -> None:
    """Measure on an empty stack of its own, then stop it. Exits 1 where a goal is missed."""
    if not (CHECKOUT / "tests" / "performance").is_dir():
        raise FatalError("the benchmarks are not part of this installation: run them in a checkout, `make bench`")
    settings = Settings()
    with _running(settings) if running else _own_stack(settings) as stack:
        sizes = {"HEADWATER_SOAK_MINUTES": str(minutes), "HEADWATER_LANES_DOCUMENTS": str(documents)}
        results = _measure(names, stack, sizes)
    if as_json:
        print_json(results)
    else:
        for result in results:
            _show(result)
    missed = [figure["name"] for result in results for figure in result["figures"] if figure["met"] is False]
    if missed:
        say(f"goals missed: {'; '.join(missed)}")
        raise typer.Exit(1)


def _measure(names: Sequence[str], stack: LocalStack, sizes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Run the benchmarks in a process of their own: they are no part of the product."""
    finished = subprocess.run(  # noqa: S603 - our own module, no shell
        [sys.executable, "-m", "tests.performance", *names],
        cwd=CHECKOUT,
        env={**os.environ, **stack.environment(), **sizes},
        stdout=subprocess.PIPE,
        timeout=_LIMIT_S,
        check=False,
    )
    if finished.returncode:
        raise FatalError("a benchmark could not be completed; the lines above say why")
    results: list[dict[str, Any]] = json.loads(finished.stdout)
    return results


@contextmanager
def _running(settings: Settings) -> Iterator[LocalStack]:
    yield LocalStack.of(settings)


@contextmanager
def _own_stack(given: Settings) -> Iterator[LocalStack]:
    """Start an empty stack beside the user's, on free ports; stop it and remove its data at the end."""
    folder = given.local.state_folder / "bench"
    local = LocalSettings(state_folder=folder, cache_folder=given.local.cache_folder, ports="free")
    stack = LocalStack.of(given.model_copy(update={"local": local}))
    install(stack.places, lambda component, doing: say(f"{component}: {doing}"))
    asyncio.run(stack.down(_silent))  # what a killed run has left
    stack.purge()
    try:
        say("starting a stack")
        asyncio.run(stack.up(_silent, names=chosen_names(stack, (), ("canary",))))  # it would be measured, too
        yield stack
    finally:
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
