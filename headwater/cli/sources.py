"""`headwater sources`: connect sources, try them, sync them, pause them, see how they stand."""

import subprocess
import sys
from collections.abc import Iterable
from typing import Annotated, Any, Final

import typer
import yaml

from headwater.cli import source_deletions, source_undo
from headwater.cli.api_client import ApiClient, ApiProblemError, open_api
from headwater.cli.output import AsJson, print_json, print_table, tell
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Sources and their syncs.")
app.command("approve")(source_deletions.approve)
app.command("remove")(source_deletions.remove)
app.command("undo")(source_undo.undo)
PAGE: Final = 500
NOT_FOUND: Final = 404
EXISTS: Final = 412  # refused by `If-None-Match: *`
COLUMNS: Final = ("source", "kind", "knowledge_base", "schedule", "paused", "sync", "updated_at")

Name = Annotated[str, typer.Argument(help="Name of the source in the directory.")]
Pairs = Annotated[list[str] | None, typer.Option(help="NAME=VALUE; repeat it for each.")]


@app.command("list")
def list_sources(*, as_json: AsJson = False) -> None:
    """List the sources, and how the newest sync of each stands."""
    with open_api(Settings().api) as api:
        records = list(_records(api))
        syncs = {sync["source"]: sync for sync in api.call("GET", "/syncs")["syncs"]}
    rows = [_row(record, syncs.get(record["id"])) for record in records]
    if as_json:
        print_json(rows)
    else:
        print_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows], whole=("source",))


@app.command()
def show(source: Name, *, as_json: AsJson = False) -> None:
    """Show a source, its newest sync (ending or progress, what failed and why) and its deletions that wait."""
    with open_api(Settings().api) as api:
        found = {
            **api.call("GET", f"/directory/sources/{source}"),
            "sync": _sync(api, source),
            "deletions": api.call("GET", f"/directory/sources/{source}/deletions"),
        }
    if as_json:
        print_json(found)
    else:
        typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True).rstrip())


@app.command()
def add(
    source: Name,
    kind: Annotated[str, typer.Option(help="filesystem, ...: which connector reads it.")],
    knowledge_base: Annotated[str, typer.Option(help="Where its documents go; made where there is none.")],
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    setting: Pairs = None,
    secret: Annotated[
        list[str] | None, typer.Option(help="NAME=env:NAME or NAME=file:NAME: where a credential is, never what it is.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="Cron of five fields, in UTC: '*/15 * * * *'.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Add a source. Refused where there is one of that name; `sources test` then says whether it can be read."""
    body = {
        "name": name or source,
        "kind": kind,
        "knowledge_base": knowledge_base,
        "settings": _pairs(setting, "--setting"),
        "secrets": _pairs(secret, "--secret"),
        "schedule": schedule,
    }
    path = f"/directory/sources/{source}"
    with open_api(Settings().api) as api:
        after = _knowledge_base(api, knowledge_base)
        accepted = api.call("PUT", path, json=body, headers={"If-None-Match": "*"}, params=after)
        api.call("GET", path, params={"after": accepted["token"]})  # the next command may ask for a sync of it
    said = f"{source} is added; try it with `headwater sources test {source}`, then `headwater sources sync {source}`"
    tell(said, accepted, as_json=as_json)


@app.command("test")
def try_source(
    source: Name,
    tenant: Annotated[str, typer.Option(help="Whose source it is.")] = "default",
    *,
    as_json: AsJson = False,
) -> None:
    """Check a source's settings, credentials and rights from this host, and name what is missing."""
    command = [sys.executable, "-m", "connectors", "check", source, "--tenant", tenant]
    command += ["--json"] if as_json else []
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own module, no shell


@app.command()
def sync(
    source: Name,
    mode: Annotated[str, typer.Option(help="incremental, full, or permissions.")] = "incremental",
    item: Annotated[list[str] | None, typer.Option(help="Only this item (external id); repeat it for more.")] = None,
    *,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop what runs, drop what waits.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the connector workers for a sync; `sources show` says how it goes."""
    ask_for_sync(source, mode=mode, items=item or [], cancel=cancel, as_json=as_json)


def ask_for_sync(source: str, *, mode: str, items: list[str], cancel: bool, as_json: bool) -> None:
    """Append a request, or a cancellation."""
    path = f"/directory/sources/{source}/sync"
    with open_api(Settings().api) as api:
        if cancel:
            accepted = api.call("DELETE", path)
        else:
            accepted = api.call("POST", path, json={"mode": "items" if items else mode, "items": items})
    doing = "cancelling" if cancel else "asked for"
    tell(f"{doing} a sync of {source}; `headwater sources show {source}` says more", accepted, as_json=as_json)


@app.command()
def pause(source: Name, *, as_json: AsJson = False) -> None:
    """Stop reading a source. What it holds stays searchable under the permissions of its last sync."""
    _set_paused(source, paused=True, as_json=as_json)


@app.command()
def resume(source: Name, *, as_json: AsJson = False) -> None:
    """Read a paused source again, from where it stopped."""
    _set_paused(source, paused=False, as_json=as_json)


def _set_paused(source: str, *, paused: bool, as_json: bool) -> None:
    path = f"/directory/sources/{source}"
    with open_api(Settings().api) as api:
        found = api.call("GET", path)
        headers = {"If-Match": str(found["revision"])}  # what somebody else changed meanwhile is not undone
        accepted = api.call("PUT", path, json=found["record"] | {"paused": paused}, headers=headers)
    tell(f"{source} is {'paused' if paused else 'resumed'}", accepted | {"paused": paused}, as_json=as_json)


def _knowledge_base(api: ApiClient, name: str) -> dict[str, str]:
    """Make the knowledge base where there is none. Returns the parameters that wait for it."""
    try:
        made = api.call(
            "PUT", f"/directory/knowledge-bases/{name}", json={"name": name}, headers={"If-None-Match": "*"}
        )
    except ApiProblemError as error:
        if error.status != EXISTS:
            raise
        return {}
    return {"after": made["token"]}


def _records(api: ApiClient) -> Iterable[dict[str, Any]]:
    cursor: str | None = None
    while True:
        asked = {"limit": PAGE} if cursor is None else {"limit": PAGE, "cursor": cursor}
        page = api.call("GET", "/directory/sources", params=asked)
        yield from page["records"]
        cursor = page["cursor"]
        if cursor is None:
            return


def _sync(api: ApiClient, source: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = api.call("GET", f"/directory/sources/{source}/sync")
    except ApiProblemError as error:
        if error.status != NOT_FOUND:
            raise
        return None
    return found


def _row(record: dict[str, Any], sync: dict[str, Any] | None) -> dict[str, Any]:
    of_record = {name: record["record"].get(name) for name in ("kind", "knowledge_base", "schedule", "paused")}
    stands = None if sync is None else sync["ending"] or "running"
    return {"source": record["id"], **of_record, "sync": stands, "updated_at": sync and sync["updated_at"]}


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for number, each in enumerate(given or (), start=1):
        name, equals, value = each.partition("=")
        if not (name and equals):  # not quoted: it may be a credential, and what is said here may be kept
            raise typer.BadParameter(f"number {number} is no NAME=VALUE", param_hint=option)
        pairs[name] = value
    return pairs
