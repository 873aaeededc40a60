"""`headwater doctor`."""

from dataclasses import asdict

import typer

from headwater.cli.output import AsJson, print_json, print_table
from headwater.local.doctor import examine
from headwater.local.stack import LocalStack
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def doctor(*, as_json: AsJson = False) -> None:
    """Check what the embedded stack needs, and what runs of it. Starts nothing. Exit 1 when a check fails."""
    findings = examine(LocalStack.of(Settings()))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        print_table(("check", "", ""), ((each.check, "ok" if each.ok else "FAILS", each.said) for each in findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
