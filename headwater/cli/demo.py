"""`headwater demo`."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from headwater.cli.output import AsJson, complain, print_json, say
from headwater.cli.stack import chosen_names
from headwater.demo.play import Played, play
from headwater.demo.stage import open_stage
from headwater.local.installation import install
from headwater.local.interrupts import interruptible, undisturbed
from headwater.local.stack import LocalStack
from headwater.settings import LocalSettings, Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the demo's stack running, with its data.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a stack of its own, show the product in eight acts, and stop it. Exits 1 naming an act that failed."""
    given = Settings()
    folder = given.local.state_folder / "demo"
    settings = given.model_copy(
        update={"local": LocalSettings(state_folder=folder, cache_folder=given.local.cache_folder, ports="free")}
    )
    stack = LocalStack.of(settings)
    install(stack.places, lambda component, doing: say(f"{component}: {doing}"))
    if asyncio.run(stack.down(_silent)):
        say("stopped what an earlier demo had left running")
    stack.purge()  # the acts count documents and parked events: they begin with nothing
    with interruptible():
        try:
            say("starting Kafka, Elasticsearch, Milvus, Redis, Triton, the stages and the API")
            # The acts time and count what they do: the canary would do more of it beside them.
            names = chosen_names(stack, (), ("canary",))
            asyncio.run(stack.up(lambda name, doing: say(f"  {name}: {doing}"), names=names))
            with open_stage(stack, (folder / "handbook").absolute()) as stage:
                played = play(stage, announce=_quiet if as_json else _announce, tell=_quiet if as_json else show_act)
                address = f"http://127.0.0.1:{stage.settings.api.port}/docs"
        finally:
            if not keep:
                with undisturbed():
                    asyncio.run(stack.down(_silent))
    kept_promises = all(each.failure is None for each in played)
    if as_json:
        print_json(
            {"kept_promises": kept_promises, "acts": [asdict(each) for each in played], "logs": stack.places.logs}
        )
    if not kept_promises:
        say(f"logs: {stack.places.logs}")
        raise typer.Exit(1)
    if keep:
        say(f"\nThe demo's stack goes on. API docs: {address}")
        say(f"Stop it with: HEADWATER_LOCAL__STATE_FOLDER={folder} headwater down")
    else:
        say(
            "\nAll acts kept their promises. A stack to keep: `headwater up`; its API docs: "
            f"http://{given.api.host}:{given.api.port}/docs; stop it with `headwater down`."
        )


def _announce(title: str) -> None:
    typer.secho(f"\n{title}", bold=True)


def show_act(played: Played) -> None:
    if played.failure is not None:
        complain(f"act {played.act} ({played.title}) failed: {played.failure}")
        return
    for line in played.said:
        typer.echo(f"  {line}")
    say(f"  ({played.took_s:.1f} s)")


def _quiet(_: object) -> None:
    """Programs read the result only."""


def _silent(_name: str, _doing: str) -> None:
    """Say nothing: what is stopped is not of interest."""
