"""`headwater parked`: dead letters, why each is one, running them again, leaving them."""

from datetime import datetime
from typing import Annotated, Any, Final

import typer
import yaml

from headwater.cli.api_client import ApiClient, ApiProblemError, open_api
from headwater.cli.output import AsJson, complain, print_json, print_table, say
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Dead letters.")
CAUSES: Final = ("stage", "error", "count", "oldest", "newest")
LETTERS: Final = ("position", "tenant_id", "stage", "error", "document_id", "revision", "state", "parked_at")
RESULTS: Final = ("position", "document_id", "revision", "verdict", "ended", "detail")
MAX_LETTERS: Final = 100  # in one call of the API
NOT_FOUND: Final = 404

Positions = Annotated[list[str] | None, typer.Argument(help="topic/partition/offset, as `list` shows them.")]
Document = Annotated[str | None, typer.Option("--document", help="Only this document's.")]
Stage = Annotated[str | None, typer.Option(help="Only letters of this stage.")]
Error = Annotated[str | None, typer.Option(help="Only letters with this error class.")]
Since = Annotated[datetime | None, typer.Option(help="Parked at or after this time (UTC).")]
Until = Annotated[datetime | None, typer.Option(help="Parked before this time (UTC).")]
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's; another than your own: scope `system`.")]
AllTenants = Annotated[bool, typer.Option("--all-tenants", help="Also letters that name no tenant: scope `system`.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@app.command("list")
def list_parked(
    document: Document = None,
    stage: Stage = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[str, typer.Option(help="parked, replayed, superseded, discarded, or all.")] = "parked",
    limit: Annotated[int, typer.Option(help="How many letters, newest first.")] = 50,
    tenant: Tenant = None,
    *,
    all_tenants: AllTenants = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters by cause, and the newest one by one."""
    asked = _filter(document, stage, error, since, until, tenant=tenant, all_tenants=all_tenants) | {"limit": limit}
    with open_api(Settings().api) as api:
        page = api.call("GET", "/parked", params=asked if state == "all" else asked | {"state": state})
    if as_json:
        print_json(page)
        return
    print_table(CAUSES, [[cause[name] for name in CAUSES] for cause in page["causes"]], title="Causes")
    rows = [letter | {"position": _position(letter)} for letter in page["letters"]]
    print_table(LETTERS, [[row[name] for name in LETTERS] for row in rows], title="Letters", whole=("position",))


@app.command()
def show(
    position: Annotated[str, typer.Argument(help="topic/partition/offset, as `list` shows it.")],
    *,
    all_tenants: AllTenants = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter, with its reason and what was done about it."""
    params = {"all_tenants": True} if all_tenants else {}
    try:
        with open_api(Settings().api) as api:
            found = api.call("GET", f"/parked/{position}", params=params)
    except ApiProblemError as error:
        if error.status != NOT_FOUND:
            raise
        text = f"there is no dead letter of {position}; `headwater parked list` shows those there are"
        raise ApiProblemError(text, status=error.status, code=error.code) from error
    if as_json:
        print_json(found)
    else:
        typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True).rstrip())


@app.command()
def replay(
    positions: Positions = None,
    document: Document = None,
    stage: Stage = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(help="How many letters at the most.")] = 50,
    policy: Annotated[
        str, typer.Option(help="stop: at the first that fails again; park: go on, do not wait.")
    ] = "stop",
    lane: Annotated[str, typer.Option(help="live, or backfill: edits go first.")] = "live",
    tenant: Tenant = None,
    *,
    dry_run: DryRun = False,
    all_tenants: AllTenants = False,
    as_json: AsJson = False,
) -> None:
    """Run letters again, newest first. Exit status 1 when one failed again."""
    wanted = _filter(document, stage, error, since, until, tenant=tenant, all_tenants=all_tenants)
    body = wanted | {"policy": policy, "lane": lane, "dry_run": dry_run}
    with open_api(Settings().api) as api:
        results, stopped = _replay(api, body, positions or [], limit)
    if as_json:
        print_json({"dry_run": dry_run, "results": results, "stopped": stopped})
    else:
        rows = [result | {"position": _position(result)} for result in results]
        print_table(RESULTS, [[row[name] for name in RESULTS] for row in rows], whole=("position",))
    if stopped is not None:
        complain(_STOPPED[stopped])
        raise typer.Exit(1)


@app.command()
def discard(
    reason: Annotated[str, typer.Option(help="Why; kept with the letters and in the audit trail.")],
    positions: Positions = None,
    document: Document = None,
    stage: Stage = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(help="How many letters at the most.", max=MAX_LETTERS)] = 50,
    tenant: Tenant = None,
    *,
    dry_run: DryRun = False,
    all_tenants: AllTenants = False,
    as_json: AsJson = False,
) -> None:
    """Take letters off the list, newest first. Nothing runs again; their documents stay as they are."""
    wanted = _filter(document, stage, error, since, until, tenant=tenant, all_tenants=all_tenants)
    body = wanted | {"reason": reason, "limit": limit, "dry_run": dry_run, "origins": _origins(positions or [])}
    with open_api(Settings().api) as api:
        report = api.call("POST", "/parked/discard", json=body)
    if as_json:
        print_json(report)
        return
    for origin in report["discarded"]:
        typer.echo(f"{'would discard' if dry_run else 'discarded'} {_position({'origin': origin})}")


_STOPPED: Final = {
    "failed_again": "a letter failed again: the others stay parked; see its new letter, or go on with --policy park",
    "time": "a letter has not ended yet: look at `headwater documents show`, then replay the others",
}


def _replay(
    api: ApiClient, body: dict[str, Any], positions: list[str], limit: int
) -> tuple[list[dict[str, Any]], str | None]:
    """Replay in as many calls as it takes; return the results, and why it ended before its last letter."""
    origins, cursor = _origins(positions), None
    results: list[dict[str, Any]] = []
    wanted = len(origins) or limit
    while len(results) < wanted:
        part = {
            "origins": origins[len(results) :][:MAX_LETTERS],
            "limit": min(wanted - len(results), MAX_LETTERS),
            "cursor": cursor,
        }
        report = api.call("POST", "/parked/replay", json=body | part)
        results += report["results"]
        cursor = report["cursor"]
        if report["stopped"] is not None and not _may_go_on(report):
            return results, report["stopped"]
        if cursor is None and not origins:
            break
        say(f"{len(results)} dealt with")
    return results, None


def _may_go_on(report: dict[str, Any]) -> bool:
    """Say whether only the request's time was over, with no letter left open."""
    results = report["results"]
    return report["stopped"] == "time" and bool(results) and results[-1]["ended"] != "pending"


def _filter(
    document: str | None,
    stage: str | None,
    error: str | None,
    since: datetime | None,
    until: datetime | None,
    *,
    tenant: str | None,
    all_tenants: bool,
) -> dict[str, Any]:
    asked = {
        "document_id": document,
        "stage": stage,
        "error": error,
        "parked_from": _instant(since),
        "parked_until": _instant(until),
        "tenant": tenant,
        "all_tenants": True if all_tenants else None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _instant(time: datetime | None) -> str | None:
    return None if time is None else f"{time.isoformat()}Z"


def _origins(positions: list[str]) -> list[dict[str, Any]]:
    return [_origin(position) for position in positions]


def _origin(position: str) -> dict[str, Any]:
    topic, _, rest = position.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise typer.BadParameter(f"{position!r} is no topic/partition/offset", param_hint="POSITIONS")
    return {"topic": topic, "partition": int(partition), "offset": int(offset)}


def _position(letter: dict[str, Any]) -> str:
    origin = letter["origin"]
    return f"{origin['topic']}/{origin['partition']}/{origin['offset']}"
