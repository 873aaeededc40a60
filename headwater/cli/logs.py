"""`headwater logs [NAME]`."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.output import AsJson
from headwater.errors import FatalError
from headwater.local.places import places_of
from headwater.local.starting import last_lines
from headwater.local.supervisor import log_file
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_POLL_S = 0.25

Show = Callable[[str, Sequence[str]], None]  # a process, its lines


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="A process; all of them where none is named.")] = None,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the end of the logs of one process or of all; as JSON, one object a line."""
    places = places_of(Settings().local)
    names = sorted(path.stem for path in places.logs.glob("*.log"))
    if name is not None and name not in names:
        raise FatalError(f"{name} has no log in {places.logs}: choose from {', '.join(names) or 'nothing, yet'}")
    shown = names if name is None else [name]
    show = _as_objects if as_json else _as_text(headings=name is None)
    tails = [LogTail(path=log_file(places, each), name=each) for each in shown]
    for tail in tails:
        show(tail.name, last_lines(tail.path, lines))
    if follow:
        asyncio.run(_follow(tails, show))


class LogTail:
    """What is appended to a log from now on, a whole line at a time; a file that was rotated is read from its start."""

    def __init__(self, *, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self._position = path.stat().st_size
        self._rest = b""

    def fresh(self) -> list[str]:
        """Return the lines that were finished since the last call."""
        if self.path.stat().st_size < self._position:
            self._position, self._rest = 0, b""
        with self.path.open("rb") as stream:
            stream.seek(self._position)
            read = stream.read()
        self._position += len(read)
        *whole, self._rest = (self._rest + read).split(b"\n")
        return [line.decode(errors="replace") for line in whole]


async def _follow(tails: Sequence[LogTail], show: Show) -> None:
    while True:
        for tail in tails:
            if fresh := tail.fresh():
                show(tail.name, fresh)
        await asyncio.sleep(_POLL_S)


def _as_objects(name: str, lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(json.dumps({"process": name, "line": line}, ensure_ascii=False))


def _as_text(*, headings: bool) -> Show:
    def show(name: str, lines: Sequence[str]) -> None:
        if headings:
            typer.echo(f"==> {name} <==")
        for line in lines:
            typer.echo(line)

    return show
