"""Every command line in the guides and runbooks is one that its command takes: subcommands and options exist."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from typer.main import get_command

from headwater.cli.main import COMMANDS
from tests.architecture.test_documentation import DOCUMENTS, ROOT, code_of

_LINE: Final = re.compile(r"^(?:\S+=\S+ )*headwater (?P<words>[a-z].*)$")
_OPTION: Final = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


def lines_of(text: str) -> list[str]:
    """Return what follows `headwater` in each command line, continued lines joined, comments cut off."""
    joined = "\n".join(code_of(text)).replace("\\\n", " ")
    parts = (part for line in joined.splitlines() for part in re.split(r"[;|]", line.partition("  #")[0]))
    return [found["words"] for part in parts if (found := _LINE.match(part.strip()))]


def command_of(name: str) -> Any:
    """Return a command of the table as its parser; typer hides click's types."""
    entry = COMMANDS[name]
    found = getattr(import_module(entry.module), entry.attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer()
        single.command()(found)
        found = single
    return get_command(found)


def wrongs_of(line: str) -> list[str]:
    """Say which words of a line its command does not know."""
    name, *rest = line.split()
    if name not in COMMANDS:
        return [name]
    command = command_of(name)
    names = getattr(command, "commands", {})
    if names and rest and re.fullmatch(r"[a-z-]+", rest[0]):
        # The name of a source stands for the subcommand `source`: `headwater sync handbook`.
        subcommand = rest[0] if rest[0] in names or name != "sync" else "source"
        if subcommand not in names:
            return [f"{name} {subcommand}"]
        command = names[subcommand]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    quoted = re.sub(r"'[^']*'|\"[^\"]*\"", "''", line)
    return sorted(set(_OPTION.findall(quoted)) - known - {"--help"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_line_is_taken(document: Path) -> None:
    wrong = {line: wrongs_of(line) for line in lines_of(document.read_text())}
    assert {line: found for line, found in wrong.items() if found} == {}


def test_it_bites() -> None:
    first, second = (
        "headwater sources add wiki \\\n  --kind x --knid y   # --not-this",
        "headwater up; headwater parked lsit",
    )
    text = f"```\n{first}\n{second}\n```"
    assert lines_of(text) == ["sources add wiki    --kind x --knid y", "up", "parked lsit"]
    assert [wrongs_of(line) for line in lines_of(text)] == [["--knid"], [], ["parked lsit"]]
    assert wrongs_of("sync handbook --mode full") == []
    assert wrongs_of("sync handbook --watch") == ["--watch"]
    assert wrongs_of("logs -n 20 -f") == []
