"""`headwater verify`: one pass over everything, now; exit status 1 where a store differs from the log."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from headwater.audit.opening import open_verification
from headwater.audit.recording import PassOutcome
from headwater.cli.output import AsJson, print_json, print_table, say
from headwater.clients.kafka.schema_ids import configure_codec
from headwater.generations.directory import serving
from headwater.ports.consistency import Finding
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from schemas.conversion import READABLE
from schemas.ids import GenerationName

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
SHOWN = 50  # documents in the table; --json has all that were kept


@app.command()
def verify(
    generation: Annotated[
        str | None, typer.Option("--generation", help="Whose stores; by default the one that serves.")
    ] = None,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Run documents again that differ, and remove rows that nothing explains.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare both stores and the documents read model with the log. Exits 1 where something differs."""
    settings = Settings()
    # A person waits: the stores get no rest between two ranges.
    settings = settings.model_copy(update={"audit": settings.audit.model_copy(update={"share": 1.0})})
    # Standard output is for what was asked: what a pass logs goes to standard error, and only what is worth a look.
    configure_logging(settings.telemetry.model_copy(update={"log_level": "WARNING"}), process="verify")
    configure_codec(settings.kafka)
    name = asyncio.run(serving(settings)) if generation is None else GenerationName(generation)
    outcome = asyncio.run(_verify(settings.model_copy(update={"generation": name}), repair=repair))
    if as_json:
        print_json(_plain(outcome))
    else:
        _show(outcome)
    if not outcome.result.clean:
        raise typer.Exit(1)


async def _verify(settings: Settings, *, repair: bool) -> PassOutcome:
    with TemporaryDirectory(prefix="headwater-verify-") as folder:
        async with open_verification(settings, Path(folder)) as verification:
            return await verification.run(repair=repair)


def _plain(outcome: PassOutcome) -> dict[str, Any]:
    result = outcome.result
    return {
        "generation": result.generation,
        "clean": result.clean,
        "behind": result.behind,
        "not_compared": result.not_compared,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "positions": result.positions,
        "ranges": result.ranges,
        "differing_ranges": [str(each) for each in result.differing_ranges],
        "tenants": [READABLE.dump(report) for report in outcome.reports],
        "findings": [READABLE.dump(finding) for finding in result.findings],
    }


def _show(outcome: PassOutcome) -> None:
    result = outcome.result
    rows = [
        (
            report.tenant_id,
            store,
            tally.documents,
            tally.rows,
            tally.fingerprint[:16],
            "agrees" if tally.fingerprint == tally.expected else f"expected {tally.expected[:16]}",
        )
        for report in outcome.reports
        for store, tally in report.projections.items()
    ]
    print_table(("tenant", "store", "documents", "rows", "fingerprint", ""), rows, title=_title(outcome))
    if result.behind:
        say("stages are behind the log: what is not complete was not judged")
    for projection in result.not_compared:
        say(f"{projection} is being rebuilt: it was not compared")
    if result.clean:
        return
    kinds = [
        (tenant, projection.value, difference.value, count)
        for (tenant, projection, difference), count in sorted(result.counts.items())
    ]
    print_table(("tenant", "store", "difference", "documents"), kinds, title="Differences")
    print_table(("document", "tenant", "store", "difference", "revision"), map(_row, result.findings[:SHOWN]))
    for report in outcome.reports:
        done = report.repairs
        if done.rerun or done.removed or done.refused:
            say(
                f"{report.tenant_id}: {done.rerun} documents submitted to run again, rows of {done.removed} removed, "
                f"{done.refused} left (beyond a limit)"
            )


def _title(outcome: PassOutcome) -> str:
    result = outcome.result
    under_way = sum(each.under_way for each in result.population.values())
    parked = sum(each.parked for each in result.population.values())
    took_s = (result.finished_at - result.started_at).total_seconds()
    documents = sum(each.documents for each in result.population.values())
    return f"{result.generation}: {documents} documents, {under_way} under way, {parked} parked, in {took_s:.1f} s"


def _row(finding: Finding) -> tuple[object, ...]:
    return (
        finding.document_id,
        finding.tenant_id,
        finding.projection.value,
        finding.difference.value,
        finding.revision if finding.revision is not None else "unknown",
    )
