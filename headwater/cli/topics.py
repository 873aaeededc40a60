"""`headwater topics plan | apply`."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from headwater.cli.output import AsJson, complain, print_json, print_table
from headwater.clients.kafka.admin import KafkaAdmin
from headwater.clients.kafka.topics import TopicPlan, apply_plan, plan_topics
from headwater.settings import Settings
from schemas.ids import GenerationName

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Generation = Annotated[
    str | None, typer.Option("--generation", help="Whose chunk topics; HEADWATER_GENERATION by default.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")]


@app.command()
def plan(generation: Generation = None, *, as_json: AsJson = False) -> None:
    """Show what `apply` would do. Exit 1 when something cannot be changed in place."""
    planned = asyncio.run(_plan(generation))
    _show(planned, as_json=as_json)
    if planned.refusals:
        raise typer.Exit(1)


@app.command()
def apply(generation: Generation = None, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Create missing topics and set what drifted. Partitions never grow in place: that is refused."""
    planned = asyncio.run(_plan(generation) if dry_run else _apply(generation))
    _show(planned, as_json=as_json)
    if planned.refusals:
        raise typer.Exit(1)


async def _plan(generation: str | None) -> TopicPlan:
    settings = Settings()
    return await plan_topics(KafkaAdmin(settings.kafka), settings, generation=_name(generation))


async def _apply(generation: str | None) -> TopicPlan:
    settings = Settings()
    admin = KafkaAdmin(settings.kafka)
    planned = await plan_topics(admin, settings, generation=_name(generation))
    if not planned.refusals:
        await apply_plan(admin, planned)
    return planned


def _name(generation: str | None) -> GenerationName | None:
    return GenerationName(generation) if generation else None


def _show(planned: TopicPlan, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(planned))
        return
    if planned.empty:
        typer.echo("every topic is as the catalogue says")
        return
    shapes = ((each, f"{each.partitions} partitions, {each.replication_factor} replicas") for each in planned.create)
    rows = [
        *(("create", each.name, shape) for each, shape in shapes),
        *(("set", each.topic, f"{each.key}: {each.now} -> {each.wanted}") for each in planned.change),
    ]
    if rows:
        print_table(("action", "topic", "what"), rows)
    for reason in planned.refusals:
        complain(reason)
