"""Plays the acts, one after the other, and says which one failed."""

import time
from collections.abc import Callable

import typer

from headwater.cli.output import complain, say
from headwater.demo import acts, acts_of_failure
from headwater.demo.stage import Stage, following
from headwater.errors import HeadwaterError

ACTS: tuple[tuple[str, Callable[[Stage], acts.Lines]], ...] = (
    ("Ingest a handbook", acts.ingest),
    ("Ask, and be told only what one may read", acts.answer),
    ("Revoke", acts.revoke),
    ("Edit one paragraph", acts.edit),
    ("Delete", acts.delete),
    ("Kill a stage, stop a store, go on editing", acts_of_failure.survive),
    ("Hand in a broken file", acts_of_failure.park),
    ("Trace the answer back to its event", acts_of_failure.trace),
)


def play(stage: Stage) -> bool:
    """Play all acts; say and return whether every one kept its promise."""
    with following(stage):
        for number, (title, act) in enumerate(ACTS, start=1):
            typer.secho(f"\nAct {number}. {title}", bold=True)
            began = time.perf_counter()
            try:
                lines = act(stage)
            except HeadwaterError as error:
                complain(f"act {number} ({title}) failed: {error}")
                return False
            for line in lines:
                typer.echo(f"  {line}")
            say(f"  ({time.perf_counter() - began:.1f} s)")
    return True
