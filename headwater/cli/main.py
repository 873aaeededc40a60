"""`headwater`: the table of commands. A command's module is imported when the command is used, and not before."""

import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import typer
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from headwater.cli.output import complain, documents_printed, print_json
from headwater.errors import FatalError, HeadwaterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a command is: `module` has a Typer called `app`, or the function or Typer that `attribute` names."""

    module: str
    attribute: str = "app"
    help: str
    panel: str = "Platform"


_STACK = "Embedded stack"
_WORK = "Documents and questions"

COMMANDS: dict[str, Entry] = {
    "setup": Entry(module="headwater.cli.stack", attribute="setup", help="Install the components.", panel=_STACK),
    "up": Entry(module="headwater.cli.stack", attribute="up", help="Start the embedded stack.", panel=_STACK),
    "down": Entry(module="headwater.cli.stack", attribute="down", help="Stop the embedded stack.", panel=_STACK),
    "status": Entry(module="headwater.cli.status", help="Processes, lag, parked events, freshness.", panel=_STACK),
    "logs": Entry(module="headwater.cli.logs", help="Show the logs of one process or of all.", panel=_STACK),
    "env": Entry(module="headwater.cli.stack", attribute="env", help="Print the stack's settings.", panel=_STACK),
    "doctor": Entry(module="headwater.cli.doctor", help="Check everything, start nothing.", panel=_STACK),
    "demo": Entry(module="headwater.cli.demo", help="Show the product on a small handbook.", panel=_STACK),
    "topics": Entry(module="headwater.cli.topics", help="Plan and apply the declared topics."),
    "schemas": Entry(module="headwater.cli.schemas", help="Check and add contracts."),
    "migrate": Entry(module="headwater.cli.migrate", help="Plan, apply and revert store migrations."),
    "generations": Entry(module="headwater.cli.generations", help="Build, compare, switch and drop generations."),
    "rebuild": Entry(module="headwater.cli.rebuild", help="Empty one store and fill it again from the log."),
    "parked": Entry(module="headwater.cli.parked", help="Dead letters: list, show, replay, discard."),
    "freshness": Entry(
        module="headwater.cli.freshness", attribute="freshness", help="Objectives, error budgets, the canary."
    ),
    "verify": Entry(module="headwater.cli.verify", help="Compare the stores with the log, and repair."),
    "keys": Entry(module="headwater.cli.keys", help="API keys: create, list, revoke."),
    "backup": Entry(module="headwater.cli.backup", attribute="backup", help="Copy the log and the contents."),
    "restore": Entry(module="headwater.cli.backup", attribute="restore", help="Restore into an empty installation."),
    "blobs": Entry(module="headwater.cli.blobs", help="Remove contents that nothing refers to."),
    "bench": Entry(module="headwater.cli.bench", help="Run a benchmark."),
    "sync": Entry(module="headwater.cli.sync", help="Bring a source in.", panel=_WORK),
    "sources": Entry(module="headwater.cli.sources", help="Add, list, test, sync, approve, undo, remove.", panel=_WORK),
    "documents": Entry(module="headwater.cli.documents", help="Put, list, show, delete, trace, explain.", panel=_WORK),
    "search": Entry(module="headwater.cli.search", attribute="search", help="Find passages.", panel=_WORK),
    "ask": Entry(module="headwater.cli.search", attribute="ask", help="Ask a question.", panel=_WORK),
    "evaluate": Entry(module="headwater.cli.evaluate", help="Judge retrieval on a BEIR folder.", panel=_WORK),
}

app = typer.Typer(
    name="headwater",
    help="Documents, searchable and answerable: always current, only for those who may read them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Options and --help belong to the command's own parser.
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def run_entry(name: str, arguments: Sequence[str]) -> None:
    """Run one command of the table. A failure of ours is one sentence on standard error and exit status 1.

    Where JSON was asked for and none was printed yet, the failure is the JSON document on standard output too.
    """
    printed = documents_printed()
    try:
        _load(name)(list(arguments), prog_name=f"headwater {name}")
    except (ValidationError, SettingsError, HeadwaterError) as error:
        failure = failure_of(error)
        complain(failure["message"])
        if "--json" in arguments and documents_printed() == printed:
            print_json({"error": failure})
        raise typer.Exit(1) from error


def failure_of(error: ValidationError | SettingsError | HeadwaterError) -> dict[str, Any]:
    """Describe a failure for programs: `code` and `status` are the API's, null where something else failed."""
    if isinstance(error, ValidationError):
        message = "; ".join(_setting_at_fault(problem) for problem in error.errors())
    elif isinstance(error, SettingsError):
        message = _not_json(error)
    else:
        message = str(error)
    return {"message": message, "code": getattr(error, "code", None), "status": getattr(error, "status", None)}


def _setting_at_fault(problem: ErrorDetails) -> str:
    name = "__".join(str(part).upper() for part in problem["loc"])
    return f"the setting HEADWATER_{name} is wrong: {problem['msg']}"


def _not_json(error: SettingsError) -> str:
    """Name the settings of the group that pydantic names; the value may be a secret, and is not quoted."""
    group = re.search(r'field "(\w+)"', str(error))
    prefix = f"HEADWATER_{group[1].upper()}" if group else "HEADWATER_"
    names = [name for name, value in os.environ.items() if name.upper().startswith(prefix) and not _is_json(value)]
    return f'a setting is not JSON, which lists and tables are written in, as in ["a", "b"]: {" or ".join(names)}'


def _is_json(value: str) -> bool:
    with suppress(ValueError):
        json.loads(value)
        return True
    return False


def _load(name: str) -> Callable[..., Any]:
    entry = COMMANDS[name]
    try:
        command = getattr(import_module(entry.module), entry.attribute)
    except ModuleNotFoundError as error:
        if error.name != entry.module:
            raise
        raise FatalError(f"`{name}` is not part of this installation: {entry.module} is missing") from error
    if isinstance(command, typer.Typer):
        return command
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(help=command.__doc__)(command)
    return single


def _register(name: str, entry: Entry) -> None:
    @app.command(name, help=entry.help, rich_help_panel=entry.panel, context_settings=_PASS_ON)
    def passed_on(context: typer.Context) -> None:
        run_entry(name, context.args)


for _name, _entry in COMMANDS.items():
    _register(_name, _entry)

if __name__ == "__main__":
    app()
