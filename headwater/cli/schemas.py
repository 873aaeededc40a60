"""`headwater schemas check | list | add | freeze-examples | asyncapi | publish`."""

from dataclasses import asdict
from typing import Annotated, Any, NoReturn

import typer

from headwater.cli.output import AsJson, complain, print_json, print_table
from headwater.clients.kafka.schema_registry import HttpSchemaIds
from headwater.errors import FatalError
from headwater.settings import Settings
from schemas import asyncapi as asyncapi_document
from schemas import snapshot
from schemas.errors import ContractError
from schemas.events import EVENT_TYPES
from schemas.examples import freeze
from schemas.gate import Report
from schemas.gate import check as check_contracts
from schemas.registry import load_manifest
from schemas.shapes import full_name
from schemas.versions import plan_version, write_version

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Base = Annotated[str | None, typer.Option("--base", help="Revision to follow; by default where this branch left main.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be written.")]


@app.command()
def check(base: Base = None, *, as_json: AsJson = False) -> None:
    """Compare the contracts with main: name each change, refuse what is not FULL, say who is rolled out first."""
    try:
        revision = base or snapshot.default_base()
        report = check_contracts(snapshot.working_tree(), snapshot.at_revision(revision) if revision else None)
    except ContractError as error:
        _refuse(error)
    if as_json:
        print_json({"base": revision, "problems": report.problems, "steps": [asdict(each) for each in report.steps]})
    else:
        _show(report, revision)
    if report.problems:
        raise typer.Exit(1)


@app.command("list")
def list_schemas(*, as_json: AsJson = False) -> None:
    """Show which id stands for which version of which event."""
    registrations = load_manifest()
    if as_json:
        print_json([asdict(each) for each in registrations])
        return
    print_table(
        ("id", "event", "version", "file"), [(each.id, each.event, each.version, each.file) for each in registrations]
    )


@app.command()
def add(
    event: Annotated[str, typer.Argument(help="Class name of the event.")],
    *,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Write the schema that an event's class asks for as its next version, if it is FULL with all earlier ones."""
    types = {kind.__name__: kind for kind in EVENT_TYPES}
    if event not in types:
        _refuse(ContractError(f"there is no event {event}; known are {', '.join(sorted(types))}"))
    try:
        planned = plan_version(types[event])
        if planned is None:
            _tell(f"{event} is as its latest schema says", {"event": event, "added": None}, as_json=as_json)
            return
        registration, changes = planned
        if not dry_run:
            write_version(types[event], registration)
    except ContractError as error:
        _refuse(error)
    said = f"{'would write' if dry_run else 'wrote'} schemas/avro/{registration.file} as id {registration.id}"
    added = {
        "event": event,
        "added": asdict(registration),
        "changes": [asdict(each) for each in changes],
        "dry_run": dry_run,
    }
    _tell("\n".join([said, *(f"  {change}" for change in changes)]), added, as_json=as_json)


@app.command("freeze-examples")
def freeze_examples(*, as_json: AsJson = False) -> None:
    """Write the bytes of golden examples that have none yet; bytes once written are never replaced."""
    try:
        fresh = freeze()
    except ContractError as error:
        _refuse(error)
    written = [f"schemas/examples/{name}.bin" for name in fresh]
    _tell("\n".join(f"wrote {path}" for path in written) or "nothing to write", {"written": written}, as_json=as_json)


@app.command()
def asyncapi(*, as_json: AsJson = False) -> None:
    """Write docs/asyncapi.yaml: the topics that others may write and read."""
    try:
        asyncapi_document.write()
    except ContractError as error:
        _refuse(error)
    _tell("wrote docs/asyncapi.yaml", {"written": ["docs/asyncapi.yaml"]}, as_json=as_json)


@app.command()
def publish(*, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Register all schemas with the registry that HEADWATER_KAFKA__SCHEMA_REGISTRY_URL names. Safe to repeat."""
    url = Settings().kafka.schema_registry_url
    if url is None:
        raise FatalError("HEADWATER_KAFKA__SCHEMA_REGISTRY_URL is not set: ids come from schemas/manifest.json")
    ids = HttpSchemaIds(url)
    published: dict[str, int | None] = {}
    for kind in EVENT_TYPES:
        name = full_name(kind.__name__)
        published[name] = None if dry_run else ids.publish(kind.__name__)
        if not as_json:
            typer.echo(f"{name} " + ("would be registered" if dry_run else f"has id {published[name]}"))
    if as_json:
        print_json(published)


def _show(report: Report, revision: str | None) -> None:
    for step in report.steps:
        typer.echo(f"{step.event} version {step.from_version} -> {step.to_version}")
        for change in step.changes:
            typer.echo(f"  {change}")
        typer.echo(f"  roll out {step.order}")
    for problem in report.problems:
        complain(problem)
    if not report.problems:
        against = f"since {revision[:12]}" if revision else "with no earlier version to follow"
        typer.echo(f"contracts are FULL compatible and in order, {against}")


def _tell(text: str, value: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        typer.echo(text)


def _refuse(error: ContractError) -> NoReturn:
    complain(str(error))
    raise typer.Exit(1) from error
