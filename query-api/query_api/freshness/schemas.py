"""Freshness as administrators read it, and the canary's rounds as it reports them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from headwater.freshness.legs import Leg
from headwater.freshness.objectives import PERCENT, Promise, Tally, Verdict, View
from headwater.ports.freshness import PartitionSeen, Spread, StageLag, StepSeen
from schemas.events.canaries import CanaryOutcome, CanaryStep, StepMeasured
from schemas.ids import DocumentId


class SpreadView(BaseModel, frozen=True):
    """How long something took; percentiles in milliseconds, null where it never happened."""

    count: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    @classmethod
    def of(cls, spread: Spread) -> "SpreadView":
        """Show a spread."""
        return cls(count=spread.count, p50_ms=spread.p50_ms, p95_ms=spread.p95_ms, p99_ms=spread.p99_ms)


class Judged(BaseModel, frozen=True):
    """A verdict; null where nothing was seen."""

    met: bool | None
    burn_rate: float | None = Field(description="1: the budget lasts exactly the window; 20: nothing is on time.")
    error_budget_left: float | None = Field(description="Share of the window's budget; below 0: overspent.")


class ViewOfObjective(Judged, frozen=True):
    """One view of an objective."""

    view: View
    total: int
    within: int = Field(description="Of `total`: within the target. What never came is in `total` only.")

    @classmethod
    def judged(cls, view: View, tally: Tally, verdict: Verdict) -> "ViewOfObjective":
        """Show what one view saw."""
        return cls(
            view=view,
            total=tally.total,
            within=tally.within,
            met=verdict.met,
            burn_rate=verdict.burn_rate,
            error_budget_left=verdict.error_budget_left,
        )


class ObjectiveView(Judged, frozen=True):
    """One objective: met when every view that saw anything says so."""

    name: Promise
    target_ms: int
    percent: int = Field(default=PERCENT, description="So many of 100 must be within the target.")
    recent_burn_rate: float | None = Field(description="Over the last twelfth of the window: is it still going on?")
    views: list[ViewOfObjective]


class LegView(SpreadView, frozen=True):
    """One leg of live revisions' way."""

    name: Leg


class StepView(SpreadView, frozen=True):
    """One step of the canary; percentiles are of those that passed."""

    name: CanaryStep
    failed: int
    skipped: int = Field(description="Nothing could be concluded: what it builds on had failed.")

    @classmethod
    def seen(cls, name: CanaryStep, step: StepSeen) -> "StepView":
        """Show a step."""
        return cls(name=name, failed=step.failed, skipped=step.skipped, **SpreadView.of(step.passed).model_dump())


class PartitionView(BaseModel, frozen=True):
    """The canary on one partition of the document topics."""

    partition: int
    rounds: int
    last_round_at: datetime
    failed: dict[CanaryStep, int]

    @classmethod
    def of(cls, seen: PartitionSeen) -> "PartitionView":
        """Show a partition."""
        return cls(
            partition=seen.partition,
            rounds=seen.rounds,
            last_round_at=seen.last_round_at,
            failed=dict(seen.failed),
        )


class CanaryView(BaseModel, frozen=True):
    """What the canary saw. Without partitions it does not run, or its reports do not arrive."""

    last_round_at: datetime | None
    steps: list[StepView]
    partitions: list[PartitionView]


class WaitingView(BaseModel, frozen=True):
    """What one stage has still to read."""

    stage: str
    events: int
    oldest_at: datetime | None
    age_ms: int | None

    @classmethod
    def of(cls, lag: StageLag, now: datetime) -> "WaitingView":
        """Show a stage's lag."""
        age_ms = None if lag.oldest is None else max(0, round((now - lag.oldest).total_seconds() * 1_000))
        return cls(stage=lag.stage, events=lag.events, oldest_at=lag.oldest, age_ms=age_ms)


class FreshnessReport(BaseModel, frozen=True):
    """How fresh the platform is, against what it promises of live edits."""

    since: datetime
    until: datetime
    installation: bool = Field(description="All tenants' documents (scope `system`), or the caller's tenant's only.")
    met: bool | None = Field(description="All objectives that could be judged; null where none could.")
    objectives: list[ObjectiveView]
    legs: list[LegView]
    canary: CanaryView
    oldest: WaitingView | None = Field(description="The stage whose first waiting event is the oldest.")
    waiting: list[WaitingView] | None = Field(description="Null without scope `system`, or while Kafka is away.")


ErrorName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}$")]


class Reported(BaseModel):
    """Base of what the canary sends."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StepReport(Reported):
    """One step of a round."""

    step: CanaryStep
    outcome: CanaryOutcome
    duration_ms: int = Field(ge=0, lt=2**31)
    error: ErrorName | None = Field(default=None, description="A problem's code or a class name, never its text.")

    def measured(self) -> StepMeasured:
        """Return it as the event carries it."""
        return StepMeasured(step=self.step, outcome=self.outcome, duration_ms=self.duration_ms, error=self.error)


class RoundReport(Reported):
    """One round of the canary. Sending the same again changes nothing."""

    round_id: UUID
    began_at: AwareDatetime
    document_id: Annotated[DocumentId, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    partition: int = Field(ge=0, lt=2**31)
    steps: list[StepReport] = Field(min_length=1, max_length=len(CanaryStep))


class RoundAccepted(BaseModel, frozen=True):
    """The round is in the log."""

    round_id: UUID
