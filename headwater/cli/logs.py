"""`headwater logs [NAME]`."""

import asyncio
from typing import Annotated

import typer

from headwater.errors import FatalError
from headwater.local.places import Places, places_of
from headwater.local.starting import last_lines
from headwater.local.supervisor import log_file
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_POLL_S = 0.25


@app.command()
def logs(
    name: Annotated[str | None, typer.Argument(help="A process; all of them where none is named.")] = None,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many of the last lines.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
) -> None:
    """Show the end of the logs of one process or of all."""
    places = places_of(Settings().local)
    names = sorted(path.stem for path in places.logs.glob("*.log"))
    if name is not None and name not in names:
        raise FatalError(f"{name} has no log in {places.logs}: choose from {', '.join(names) or 'nothing, yet'}")
    for shown in names if name is None else (name,):
        if name is None:
            typer.echo(f"==> {shown} <==")
        for line in last_lines(log_file(places, shown), lines):
            typer.echo(line)
    if follow and name is not None:
        asyncio.run(_follow(places, name))


async def _follow(places: Places, name: str) -> None:
    path = log_file(places, name)
    position = path.stat().st_size
    while True:
        size = path.stat().st_size
        position = 0 if size < position else position  # rotated
        with path.open("rb") as stream:
            stream.seek(position)
            fresh = stream.read()
        position += len(fresh)
        typer.echo(fresh.decode(errors="replace"), nl=False)
        await asyncio.sleep(_POLL_S)
