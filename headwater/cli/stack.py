"""`headwater setup | up | down | env`."""

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from time import monotonic
from typing import Annotated

import typer

from headwater.cli.output import AsJson, print_json, say, tell
from headwater.errors import FatalError
from headwater.local.process import Tier
from headwater.local.stack import LocalStack
from headwater.local.starting import Report
from headwater.settings import Settings

FreePorts = Annotated[bool, typer.Option("--free-ports", help="Take free ports instead of those of the settings.")]
Purge = Annotated[bool, typer.Option("--purge", help="Remove all data too: the log, the stores, blobs, keys.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="A process, or `infrastructure` for the five components. Repeatable.")
]
Without = Annotated[list[str] | None, typer.Option("--without", help="A process to leave out. Repeatable.")]


def setup(*, as_json: AsJson = False) -> None:
    """Install what the embedded stack is made of; fetches nothing where everything is there and whole."""
    from headwater.local.installation import install

    stack = LocalStack.of(Settings())
    installed = install(stack.places, lambda component, doing: say(f"{component}: {doing}"))
    tell("set up", asdict(installed), as_json=as_json)


def up(
    only: Only = None,
    without: Without = None,
    *,
    free_ports: FreePorts = False,
    as_json: AsJson = False,
) -> None:
    """Start what is not running, each part when what it needs is ready. Prints the addresses."""
    stack = LocalStack.of(_settings(free_ports=free_ports))
    began = monotonic()
    report = _quiet if as_json else _reporter(began)
    asyncio.run(stack.up(report, names=chosen_names(stack, only or (), without or ())))
    took_s = round(monotonic() - began, 1)
    environment = stack.environment()
    if as_json:
        print_json({"took_s": took_s, "environment": environment, "state_folder": str(stack.places.state)})
        return
    for name, value in environment.items():
        typer.echo(f"{name}={value}")
    say(f"up in {took_s} s; API docs: http://127.0.0.1:{environment['HEADWATER_API__PORT']}/docs; stop: headwater down")


def down(*, purge: Purge = False, as_json: AsJson = False) -> None:
    """Stop all processes, those that need others first."""
    stack = LocalStack.of(Settings())
    began = monotonic()
    was_running = asyncio.run(stack.down(_quiet if as_json else _reporter(began)))
    took_s = round(monotonic() - began, 1)
    if purge:
        stack.purge()
    if as_json:
        print_json({"was_running": was_running, "took_s": took_s})
    else:
        say(f"down in {took_s} s" if was_running else f"nothing was running in {stack.places.state}")


def env(*, as_json: AsJson = False) -> None:
    """Print the settings of the stack as shell exports: `eval "$(headwater env)"`."""
    environment = LocalStack.of(Settings()).environment()
    if as_json:
        print_json(environment)
        return
    for name, value in environment.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def chosen_names(stack: LocalStack, only: Sequence[str], without: Sequence[str]) -> frozenset[str]:
    """Resolve --only and --without. Raises FatalError for a name that is not in the table."""
    table = stack.processes()
    known = {process.name for process in table}
    infrastructure = {process.name for process in table if process.tier is Tier.INFRASTRUCTURE}
    if unknown := {*only, *without} - known - {Tier.INFRASTRUCTURE}:
        raise FatalError(f"unknown process {', '.join(sorted(unknown))}: choose from {', '.join(sorted(known))}")
    wanted = known if not only else set(only) & known
    if Tier.INFRASTRUCTURE in only:
        wanted |= infrastructure
    return frozenset(wanted - set(without))


def _settings(*, free_ports: bool) -> Settings:
    settings = Settings()
    if not free_ports:
        return settings
    return settings.model_copy(update={"local": settings.local.model_copy(update={"ports": "free"})})


def _reporter(began: float) -> Report:
    def report(name: str, what: str) -> None:
        say(f"{monotonic() - began:6.1f} s  {name}: {what}")

    return report


def _quiet(name: str, what: str) -> None:
    """Programs read the result only."""
