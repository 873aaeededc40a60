"""What commands print: a table for people, or JSON for programs."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@dataclass(slots=True)
class _Printed:
    """How many documents this process has printed."""

    documents: int = 0


_printed = _Printed()


def print_json(value: Any) -> None:
    """Print one JSON document. What JSON has no type for (times, ids) is printed as text."""
    _printed.documents += 1
    typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def documents_printed() -> int:
    """Return how many documents were printed: whether a failure may still print one."""
    return _printed.documents


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, whole: Sequence[str] = ()
) -> None:
    """Print rows under headings; None shows as a dash. Columns named by `whole` are shortened last."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=name in whole)
    for row in rows:
        table.add_row(*("-" if cell is None else str(cell) for cell in row))
    Console(highlight=False).print(table)


def tell(text: str, value: Any, *, as_json: bool) -> None:
    """Say what was done: as a sentence to people, as JSON to programs."""
    if as_json:
        print_json(value)
    else:
        say(text)


def say(text: str) -> None:
    """Tell a person what is happening; on standard error, so that output stays clean."""
    typer.echo(text, err=True)


def complain(text: str) -> None:
    """Say what went wrong, in red where there are colours."""
    typer.secho(f"headwater: {text}", err=True, fg=typer.colors.RED)
