"""`headwater freshness`: how current the platform is, against what it promises."""

from typing import Annotated, Any

import typer

from headwater.cli.api_client import open_api
from headwater.cli.output import AsJson, print_json, print_table
from headwater.settings import Settings


def freshness(
    window_s: Annotated[int | None, typer.Option("--window", help="Seconds to look back; left out: an hour.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show objectives, error budgets, the legs of live edits, the canary, what waits. Exit 1 when one is not met."""
    with open_api(Settings().api) as api:
        report = api.call("GET", "/freshness", params={} if window_s is None else {"window_s": window_s})
    if as_json:
        print_json(report)
    else:
        _show(report)
    if report["met"] is False:
        raise typer.Exit(1)


def _show(report: dict[str, Any]) -> None:
    columns = ("objective", "target", "met", "budget left", "burn rate", "documents", "canary")
    print_table(columns, [_objective(each) for each in report["objectives"]])
    typer.echo()
    print_table(("leg", "count", "p50", "p95", "p99"), [_spread(leg) for leg in report["legs"] if leg["count"]])
    typer.echo()
    steps = [step for step in report["canary"]["steps"] if step["count"] or step["failed"]]
    if steps:
        print_table(
            ("canary", "passed", "p50", "p95", "p99", "failed"), [(*_spread(step), step["failed"]) for step in steps]
        )
    for partition in report["canary"]["partitions"]:
        failed = ", ".join(f"{step} {count}" for step, count in partition["failed"].items()) or "nothing failed"
        typer.echo(f"partition {partition['partition']}: {partition['rounds']} rounds, {failed}")
    if not report["canary"]["partitions"]:
        typer.echo("the canary has reported no round: `headwater status` says whether it runs")
    oldest = report["oldest"]
    if oldest is not None and oldest["age_ms"] is not None:
        waited = f"has waited {oldest['age_ms'] / 1_000:.1f} s for {oldest['stage']}"
        typer.echo(f"oldest unsettled event: {waited} ({oldest['events']} wait there)")


def _objective(objective: dict[str, Any]) -> tuple[object, ...]:
    met = {True: "yes", False: "NO", None: "-"}[objective["met"]]
    left, burn = objective["error_budget_left"], objective["burn_rate"]
    views = [f"{view['within']}/{view['total']}" if view["total"] else "-" for view in objective["views"]]
    target = f"p{objective['percent']} {objective['target_ms']} ms"
    shown = (None if left is None else f"{left:.0%}", None if burn is None else f"{burn:.1f}")
    return objective["name"], target, met, *shown, *views


def _spread(row: dict[str, Any]) -> tuple[object, ...]:
    times = (row["p50_ms"], row["p95_ms"], row["p99_ms"])
    return row["name"], row["count"], *(None if ms is None else f"{ms:.0f} ms" for ms in times)
