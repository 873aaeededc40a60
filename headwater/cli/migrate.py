"""`headwater migrate plan | apply | rollback`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from headwater.cli.output import AsJson, print_json, print_table
from headwater.migrations import Migrator, PlannedMigration, open_migrator
from headwater.settings import Settings
from schemas.ids import GenerationName

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Generation = Annotated[
    str | None, typer.Option("--generation", help="Whose index and collection; HEADWATER_GENERATION by default.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Force = Annotated[bool, typer.Option("--force", help="Go on although data is rewritten or destroyed.")]
To = Annotated[int, typer.Option("--to", min=0, help="The number of the migration to go back to; 0 reverts all.")]

Work = Callable[[Migrator], Awaitable[Sequence[PlannedMigration]]]


@app.command()
def plan(generation: Generation = None, *, as_json: AsJson = False) -> None:
    """Show every migration and where it stands."""
    _show(_run(generation, lambda migrator: migrator.plan()), as_json=as_json, empty="there are no migrations")


@app.command()
def apply(
    generation: Generation = None, *, dry_run: DryRun = False, force: Force = False, as_json: AsJson = False
) -> None:
    """Apply what is pending, in order. Harmless when repeated, or run twice at once."""

    async def work(migrator: Migrator) -> Sequence[PlannedMigration]:
        if dry_run:
            return [planned for planned, _ in await migrator.pending()]
        return await migrator.apply(force=force)

    _show(_run(generation, work), as_json=as_json, empty="nothing is pending")


@app.command()
def rollback(
    to: To,
    generation: Generation = None,
    *,
    dry_run: DryRun = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Revert what is numbered above `--to`, newest first. Destroys what was written since: needs --force."""

    async def work(migrator: Migrator) -> Sequence[PlannedMigration]:
        if dry_run:
            return [planned for planned, _ in await migrator.reverting(to=to)]
        return await migrator.rollback(to=to, force=force)

    _show(_run(generation, work), as_json=as_json, empty="nothing to revert")


def _run(generation: str | None, work: Work) -> Sequence[PlannedMigration]:
    async def opened() -> Sequence[PlannedMigration]:
        settings = Settings()
        if generation is not None:
            settings = await _settings_of(GenerationName(generation), settings)
        async with open_migrator(settings) as migrator:
            return await work(migrator)

    return asyncio.run(opened())


async def _settings_of(generation: GenerationName, settings: Settings) -> Settings:
    """Return a generation's own settings: its model decides how long the vectors of its collection are."""
    # The log's client takes a while to import, and whoever names no generation needs none: that is every start.
    from headwater.generations.directory import read_directory
    from headwater.generations.models import settings_of
    from headwater.generations.records import known_generations

    records = known_generations(await read_directory(settings))
    known = next((each.record for each in records if each.record.name == generation), None)
    if known is None:
        return settings.model_copy(update={"generation": generation})
    return settings_of(known, settings)


def _show(migrations: Sequence[PlannedMigration], *, as_json: bool, empty: str) -> None:
    if as_json:
        print_json([asdict(planned) for planned in migrations])
    elif migrations:
        rows = [(each.number, each.name, each.generation, each.state.value, each.warning) for each in migrations]
        print_table(("number", "name", "generation", "state", "rewrites or destroys"), rows)
    else:
        typer.echo(empty)
