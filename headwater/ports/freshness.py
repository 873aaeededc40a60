"""What was measured of freshness, read back: percentiles and tallies of a period, and what still waits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from headwater.freshness.legs import Leg
from headwater.freshness.objectives import Promise, Tally
from schemas.events.canaries import CanaryMeasured, CanaryStep
from schemas.ids import GenerationName, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How long something took; percentiles in milliseconds, None where it never happened."""

    count: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsMeasured:
    """Live revisions that came to their end within a period."""

    legs: Mapping[Leg, Spread]  # every leg, in order
    tallies: Mapping[Promise, Tally]  # words and meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSeen:
    """One step of the canary within a period."""

    passed: Spread = field(default_factory=Spread)
    failed: int = 0
    skipped: int = 0
    within: int = 0  # of those passed: within the step's promise; 0 where nothing is promised of it


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSeen:
    """What the canary saw of one partition within a period."""

    partition: int
    rounds: int
    last_round_at: datetime
    failed: Mapping[CanaryStep, int]  # only steps that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class CanarySeen:
    """The canary's rounds that began within a period."""

    steps: Mapping[CanaryStep, StepSeen]  # every step, in order
    partitions: Sequence[PartitionSeen]  # ascending


class FreshnessReadModel(Protocol):
    """What became searchable, and what the canary saw. Repeats are harmless; figures follow a write within a second.

    Ingestions are recorded through AnalyticsReadModel. `since` is inclusive, `until` exclusive. Raises RetryableError
    when the store is busy or away, FatalError when an index is missing.
    """

    async def record_rounds(self, rounds: Sequence[CanaryMeasured]) -> None:
        """Record rounds of the canary."""
        ...

    async def documents(
        self,
        tenant: TenantId | None,
        *,
        excluding: TenantId,
        generation: GenerationName,
        since: datetime,
        until: datetime,
        targets: Mapping[Promise, int],
    ) -> DocumentsMeasured:
        """Return the figures of live revisions of a tenant; `None`: of all tenants but the one to exclude.

        Only of one generation, the one that serves: another is built from old events, long after they were observed.
        """
        ...

    async def canary(
        self, tenant: TenantId, *, since: datetime, until: datetime, targets: Mapping[Promise, int]
    ) -> CanarySeen:
        """Return the figures of the canary's rounds; `tenant` is the canary's own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLag:
    """What a stage has still to read."""

    stage: str
    group: str
    events: int  # offsets between committed and end; control records of transactions among them
    oldest: datetime | None  # time of the first waiting event, None when nothing waits
    expired: int = 0  # offsets behind its positions that retention has removed: it has not read these
    expires: datetime | None = None  # when retention may take what waits, where half of its time is over


class Lags(Protocol):
    """What waits in the log."""

    async def stages(self, generation: GenerationName) -> Sequence[StageLag]:
        """Return the lag of every stage, in this generation where it has one in each; at most a few seconds old.

        Raise RetryableError when the log is away.
        """
        ...
