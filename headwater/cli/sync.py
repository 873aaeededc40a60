"""`headwater sync`: ask for a sync of a source of the directory, or bring a folder in from here.

A connector that reads from here runs as a process of its own, by module name.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from headwater.cli.output import AsJson
from headwater.cli.sources import ask_for_sync


class _SourceOrKind(TyperGroup):
    """What is no kind is the name of a source: `headwater sync handbook`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """See click, whose types typer hides: choose the command by the first argument."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["source", *args]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_SourceOrKind, add_completion=False, pretty_exceptions_enable=False, help="Bring a source up to date."
)


@app.callback()
def sync() -> None:
    """Name a source of the directory, or a kind and what to read from here."""


@app.command()
def source(
    name: Annotated[str, typer.Argument(help="Name of the source in the directory.")],
    mode: Annotated[str, typer.Option(help="incremental, full, or permissions.")] = "incremental",
    item: Annotated[list[str] | None, typer.Option(help="Only this item (external id); repeat it for more.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Ask the connector workers for a sync; the word `source` may be left out."""
    ask_for_sync(name, mode=mode, items=item or [], cancel=False, as_json=as_json)


@app.command()
def filesystem(
    path: Annotated[Path, typer.Argument(help="The folder; `.headwater.yaml` files in it say who may read what.")],
    source: Annotated[str, typer.Option(help="Name of the source in the directory.")] = "files",
    knowledge_base: Annotated[str, typer.Option(help="Where its documents go.")] = "files",
    tenant: Annotated[str, typer.Option(help="Whose source it is.")] = "default",
    *,
    watch: Annotated[bool, typer.Option("--watch", help="Go on and submit what changes, until stopped.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make one pass over a folder tree, and with `--watch` follow it."""
    command = [sys.executable, "-m", "connectors", "filesystem", str(path), "--source", source]
    command += ["--knowledge-base", knowledge_base, "--tenant", tenant]
    command += ["--watch"] if watch else []
    command += ["--json"] if as_json else []
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own module, no shell
