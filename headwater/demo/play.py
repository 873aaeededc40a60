"""Plays the acts, one after the other, and says which one failed."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, TypeAlias

from headwater.demo import acts, acts_of_failure
from headwater.demo.stage import Stage, following
from headwater.errors import HeadwaterError

Act: TypeAlias = tuple[str, Callable[[Stage], acts.Lines]]
ACTS: Final[tuple[Act, ...]] = (
    ("Ingest a handbook", acts.ingest),
    ("Ask, and be told only what one may read", acts.answer),
    ("Revoke", acts.revoke),
    ("Edit one paragraph", acts.edit),
    ("Delete", acts.delete),
    ("Kill a stage, stop a store, go on editing", acts_of_failure.survive),
    ("Hand in a broken file", acts_of_failure.park),
    ("Trace the answer back to its event", acts_of_failure.trace),
)
# What an act promised did not happen, or what it looked at is not there: a response without hits, a missing file.
_FAILURES: Final = (HeadwaterError, LookupError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """How one act went. `failure` is None where it kept its promise."""

    act: int
    title: str
    took_s: float
    said: tuple[str, ...] = ()
    failure: str | None = None


def play(
    stage: Stage,
    *,
    announce: Callable[[str], None],
    tell: Callable[[Played], None],
    chosen: Sequence[Act] = ACTS,
    follow: Callable[[Stage], AbstractContextManager[None]] = following,
) -> tuple[Played, ...]:
    """Play the acts up to the first that fails; announce each before it begins and tell of each when it is over."""
    played: list[Played] = []
    with follow(stage):
        for number, (title, act) in enumerate(chosen, start=1):
            announce(f"Act {number}. {title}")
            played.append(_played(number, title, act, stage))
            tell(played[-1])
            if played[-1].failure is not None:
                break
    return tuple(played)


def _played(number: int, title: str, act: Callable[[Stage], acts.Lines], stage: Stage) -> Played:
    began = time.perf_counter()
    said: acts.Lines = []
    failure: str | None = None
    try:
        said = act(stage)
    except _FAILURES as error:
        failure = str(error) if isinstance(error, HeadwaterError) else f"{type(error).__name__}: {error}"
    took_s = round(time.perf_counter() - began, 1)
    return Played(act=number, title=title, took_s=took_s, said=tuple(said), failure=failure)
