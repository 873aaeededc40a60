"""`headwater status`."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import typer

from headwater.cli.output import AsJson, print_json, print_table
from headwater.errors import FatalError
from headwater.local.stack import LocalStack
from headwater.local.status import StackStatus, read_status
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show processes, lag and oldest event of each stage, parked events and freshness. Exit 1 when nothing runs."""
    stack = LocalStack.of(Settings())
    supervisor = stack.supervisor()
    if supervisor is None:
        raise FatalError(f"no stack runs in {stack.places.state}: `headwater up` starts one")
    seen = asyncio.run(read_status(stack.running_settings(), stack.processes(), supervisor.states()))
    if as_json:
        print_json(asdict(seen))
    else:
        _show(seen)


def _show(seen: StackStatus) -> None:
    print_table(("process", "state", "ready", "pid", "up", "port"), _process_rows(seen))
    typer.echo()
    if seen.parked is None:
        typer.echo("Kafka does not answer: no lag can be read")
        return
    print_table(("stage", "waiting", "oldest", "group"), _stage_rows(seen))
    for line in expiry_lines(seen):
        typer.echo(line)
    typer.echo(f"\nparked events: {seen.parked}" + (" (headwater parked list)" if seen.parked else ""))
    for store in seen.freshness:
        quantiles = f"p50 up to {store.p50_s:g} s, p95 up to {store.p95_s:g} s"
        typer.echo(f"freshness {store.store}: {quantiles}, {store.documents} events")
    for seen_by in seen.objectives:
        verdict = "met" if seen_by.met else "NOT MET (headwater freshness)"
        typer.echo(
            f"objective {seen_by.objective} ({seen_by.view}): {verdict}, {seen_by.within} of {seen_by.total} within"
        )


def expiry_lines(seen: StackStatus) -> Iterator[str]:
    """Yield what retention took, or is about to take, before it was read; each line with what to do."""
    for stage in seen.stages:
        if stage.expired:
            yield f"{stage.stage}: EXPIRED UNREAD, at most {stage.expired} events (docs/runbooks/admission.md)"
        if stage.expires:
            yield (
                f"{stage.stage}: what waits is removed unread from {_minute(stage.expires)} on; start the stage, or "
                f"see why it stands: `headwater logs {stage.stage}`"
            )
    if seen.expired_found_at:
        yield (
            f"submissions had expired unread when admission looked, {_minute(seen.expired_found_at)}: sync every "
            "source in full, put again what the API wrote (`headwater parked list --all-tenants --error "
            "SubmissionsExpiredError`, docs/runbooks/admission.md)"
        )


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _process_rows(seen: StackStatus) -> Iterator[tuple[object, ...]]:
    for process in seen.processes:
        state = process.state
        up = timedelta(seconds=state.uptime_s) if state.pid else None
        yield state.name, state.state.lower(), "yes" if process.ready else "no", state.pid, up, process.port


def _stage_rows(seen: StackStatus) -> Iterator[tuple[object, ...]]:
    now = datetime.now(tz=UTC)
    for stage in seen.stages:
        age = f"{max(0.0, (now - stage.oldest).total_seconds()):.1f} s" if stage.oldest else None
        yield stage.stage, stage.events, age, stage.group
