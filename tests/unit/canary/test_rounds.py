"""Rounds are counted and reported; an API that is away loses none."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from headwater.canary.documents import Probe, probes
from headwater.canary.plan import Change
from headwater.canary.rounds import Rounds, show_at_zero
from headwater.canary.walk import CallFailedError
from headwater.errors import FatalError
from headwater.freshness.objectives import Promise
from headwater.settings import Settings
from headwater.telemetry.metrics import CANARY_FAILURES, CANARY_STEP_SECONDS, FRESHNESS_JUDGED
from schemas.events.canaries import CanaryStep, StepMeasured
from schemas.ids import TenantId
from tests.unit.canary.test_plan import World

PROBE = probes(TenantId("headwater-canary"), 4)[2]
TARGETS = {Promise.WORDS: 1_000, Promise.MEANING: 2_000, Promise.HIDDEN: 500}


class Reporting(World):
    """A world that takes reports unless it is `mute`."""

    def __init__(self, **faults: Any) -> None:
        super().__init__(**faults)
        self.mute = False
        self.reported: list[UUID] = []

    async def report(self, round_id: UUID, began_at: datetime, probe: Probe, steps: Sequence[StepMeasured]) -> None:
        if self.mute:
            raise CallFailedError("ConnectError")
        self.reported.append(round_id)


def rounds_of(world: Reporting) -> Rounds:
    settings = Settings().canary.model_copy(update={"deadline_s": 0.05, "interval_s": 0.01})
    return Rounds(caller=world, settings=settings, targets=TARGETS)


async def test_what_could_not_be_reported_is_reported_later_in_order() -> None:
    world = Reporting()
    rounds = rounds_of(world)
    world.mute = True
    first = await rounds.one(PROBE)
    second = await rounds.one(PROBE)
    world.mute = False
    third = await rounds.one(PROBE)
    assert world.reported == [first.round_id, second.round_id, third.round_id]


async def test_failures_are_counted_by_step_and_partition_and_judged() -> None:
    failures = CANARY_FAILURES.labels(step="found_by_meaning", partition="2")
    late = FRESHNESS_JUDGED.labels(objective="meaning", view="canary", verdict="late")
    within = FRESHNESS_JUDGED.labels(objective="words", view="canary", verdict="within")
    before = [each._value.get() for each in (failures, late, within)]
    await rounds_of(Reporting(away=frozenset({"vector"}))).one(PROBE)
    assert [each._value.get() - was for each, was in zip((failures, late, within), before, strict=True)] == [1, 2, 2]


async def test_it_goes_on_whatever_fails() -> None:
    world = Reporting(refused=frozenset(Change))
    going = asyncio.create_task(rounds_of(world).go(PROBE, of=4))
    async with asyncio.timeout(5):
        while len(world.reported) < 3:  # noqa: ASYNC110 - the other task moves on
            await asyncio.sleep(0)
    going.cancel()


async def test_void_keys_end_it_because_only_a_start_makes_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    world = Reporting()

    async def refuse(*_: object) -> None:
        raise CallFailedError("unauthenticated")

    monkeypatch.setattr(world, "change", refuse)
    with pytest.raises(FatalError, match="withdrawn"):
        await rounds_of(world).go(PROBE, of=4)


def test_every_metric_is_shown_before_the_first_round() -> None:
    metrics = (CANARY_FAILURES, CANARY_STEP_SECONDS, FRESHNESS_JUDGED)
    for metric in metrics:
        metric.clear()
    show_at_zero([PROBE])
    shown = [
        {tuple(each.labels.values()) for found in metric.collect() for each in found.samples} for metric in metrics
    ]
    assert shown[0] == {(step.value, "2") for step in CanaryStep}
    assert {step for step, *_ in shown[1]} == {step.value for step in CanaryStep}
    assert shown[2] == {(each.value, "canary", verdict) for each in Promise for verdict in ("within", "late")}
