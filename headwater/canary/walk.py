"""Walks one round: asks, looks until it is seen or the deadline has passed, and times every step."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from headwater.canary.documents import Probe, is_as_wanted, new_marks, query_of
from headwater.canary.plan import PLAN, Change, Edition, Look, Move, Standing, accepted, can_ask, can_conclude, seen
from headwater.errors import HeadwaterError
from schemas.events.canaries import CanaryOutcome, CanaryStep, StepMeasured

# The pauses between looks grow with what has been waited: a quick step is timed to some tens of milliseconds, and a
# slow one costs few queries (29 in 10 s).
_FIRST_PAUSE_S: Final = 0.02
_PAUSE_FACTOR: Final = 1.5
_LONGEST_PAUSE_S: Final = 0.5
NOT_SEEN: Final = "not_seen"
UNAUTHENTICATED: Final = "unauthenticated"  # the API's code


class CallFailedError(HeadwaterError):
    """The API refused or did not answer. `code` is a problem's code or a class name: a closed set."""

    def __init__(self, code: str) -> None:
        super().__init__(f"the API did not do what the canary asked: {code}")
        self.code = code


class Caller(Protocol):
    """What a round needs of the API. Every method raises CallFailedError."""

    async def change(self, probe: Probe, change: Change, marks: Mapping[Edition, str]) -> None:
        """Ask for a change; return once it is accepted."""
        ...

    async def look(self, probe: Probe, query: str, mode: str) -> list[str]:
        """Search as the witness; return the texts of the passages of this document."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Walker:
    """Walks rounds."""

    caller: Caller
    deadline_s: float
    clock: Callable[[], float] = time.monotonic

    async def walk(self, probe: Probe) -> tuple[StepMeasured, ...]:
        """Walk one round and return every step, in the order of the plan. Nothing that fails stops it."""
        marks, standing = new_marks(), Standing()
        measured: list[StepMeasured] = []
        for move in PLAN:
            if not can_ask(move, standing):
                measured += _skipped([move.step, *(look.step for look in move.looks)])
                continue
            begun = self.clock()
            asked = await self._ask(probe, move, marks, begun)
            measured.append(asked)
            if asked.outcome is not CanaryOutcome.PASSED:
                measured += _skipped(look.step for look in move.looks)
                continue
            standing = accepted(move, standing)
            looked = await self._look_all(probe, move, marks, begun, standing)
            standing = seen(move, {each.step for each in looked if each.outcome is CanaryOutcome.PASSED}, standing)
            measured += looked
        return tuple(measured)

    async def _ask(self, probe: Probe, move: Move, marks: Mapping[Edition, str], begun: float) -> StepMeasured:
        try:
            async with asyncio.timeout(self.deadline_s):
                await self.caller.change(probe, move.change, marks)
        except CallFailedError as error:
            return self._failed(move.step, begun, error.code)
        except TimeoutError:
            return self._failed(move.step, begun, TimeoutError.__name__)
        return self._measured(move.step, CanaryOutcome.PASSED, begun, None)

    async def _look_all(
        self, probe: Probe, move: Move, marks: Mapping[Edition, str], begun: float, standing: Standing
    ) -> list[StepMeasured]:
        async def one(look: Look) -> StepMeasured:
            if not can_conclude(look, standing):
                return _skipped([look.step])[0]
            return await self._look(probe, look, marks, begun)

        return list(await asyncio.gather(*(one(look) for look in move.looks)))

    async def _look(self, probe: Probe, look: Look, marks: Mapping[Edition, str], begun: float) -> StepMeasured:
        """Look until it is as wanted. What goes wrong on the way is only told when it never was."""
        why, pause_s = NOT_SEEN, _FIRST_PAUSE_S
        left_s = self.deadline_s - (self.clock() - begun)
        try:
            async with asyncio.timeout(left_s):
                while True:
                    try:
                        texts = await self.caller.look(probe, query_of(look, marks), look.mode)
                    except CallFailedError as error:
                        why = error.code
                    else:
                        why = NOT_SEEN
                        if is_as_wanted(look, marks, texts):
                            return self._measured(look.step, CanaryOutcome.PASSED, begun, None)
                    await asyncio.sleep(pause_s)
                    pause_s = min(_LONGEST_PAUSE_S, pause_s * _PAUSE_FACTOR)
        except TimeoutError:
            return self._failed(look.step, begun, why)

    def _failed(self, step: CanaryStep, begun: float, error: str) -> StepMeasured:
        return self._measured(step, CanaryOutcome.FAILED, begun, error)

    def _measured(self, step: CanaryStep, outcome: CanaryOutcome, begun: float, error: str | None) -> StepMeasured:
        return StepMeasured(step=step, outcome=outcome, duration_ms=round((self.clock() - begun) * 1_000), error=error)


def _skipped(steps: Iterable[CanaryStep]) -> list[StepMeasured]:
    return [StepMeasured(step=step, outcome=CanaryOutcome.SKIPPED, duration_ms=0, error=None) for step in steps]
