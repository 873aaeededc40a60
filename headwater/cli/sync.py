"""`headwater sync`: bring a source into the log. The connector runs as a process of its own, by module name."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.output import AsJson

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Bring a source up to date.")


@app.callback()
def sync() -> None:
    """Sources: one subcommand each."""


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
