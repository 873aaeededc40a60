"""One picture of a running stack: processes, what each stage has still to do, dead letters, freshness."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from headwater.errors import HeadwaterError
from headwater.freshness.objectives import Tally, judge
from headwater.generations.directory import serving
from headwater.local.lag import LagReader
from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process
from headwater.local.readiness import PROBE_TIMEOUT_S, is_ready
from headwater.local.supervisor import ProcessState
from headwater.ports.freshness import StageLag
from headwater.settings import Settings

_FRESHNESS = "headwater_freshness_seconds_bucket"
_JUDGED = "headwater_freshness_judged_total"
_EXPIRED_AT = "headwater_submissions_expired_timestamp_seconds"
_UP = frozenset({"STARTING", "RUNNING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """A process: what the supervisor says, and whether it answers as ready."""

    state: ProcessState
    ready: bool
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """From observed to searchable or gone in one store, since its processes started."""

    store: str
    documents: int
    p50_s: float
    p95_s: float  # both are upper bounds of the histogram's buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveStatus:
    """One objective as one view judges it, since its processes started."""

    objective: str
    view: str  # documents or canary
    total: int
    within: int
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStatus:
    """All of it. `stages` is empty and `parked` is None while Kafka is down."""

    processes: tuple[ProcessStatus, ...]
    stages: tuple[StageLag, ...]
    parked: int | None
    freshness: tuple[Freshness, ...]
    objectives: tuple[ObjectiveStatus, ...]
    expired_found_at: (
        datetime | None
    )  # when admission last found submissions expired unread; None: not since it started


async def read_status(settings: Settings, table: Sequence[Process], states: Mapping[str, ProcessState]) -> StackStatus:
    """Ask every process that is up. `settings` point at this stack's Kafka."""
    up = [process for process in table if states[process.name].state in _UP]
    ready = dict(zip((process.name for process in up), await asyncio.gather(*map(is_ready, up)), strict=True))
    pages = await asyncio.gather(*(_metrics(process.port) for process in up if process.probe is Probe.MANAGEMENT))
    stages, parked = await _read_lag(settings) if ready.get("kafka") else ((), None)
    return StackStatus(
        processes=tuple(
            ProcessStatus(state=states[process.name], ready=ready.get(process.name, False), port=process.port)
            for process in table
        ),
        stages=stages,
        parked=parked,
        freshness=freshness(pages),
        objectives=objectives(pages),
        expired_found_at=expired_found_at(pages),
    )


def freshness(pages: Sequence[str]) -> tuple[Freshness, ...]:
    """Add up the freshness histograms of several processes and read the quantiles, store by store."""
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == _FRESHNESS:
                    buckets[sample.labels["store"]][float(sample.labels["le"])] += sample.value
    return tuple(
        Freshness(
            store=store,
            documents=int(counts[float("inf")]),
            p50_s=quantile(counts, 0.5),
            p95_s=quantile(counts, 0.95),
        )
        for store, counts in sorted(buckets.items())
        if counts[float("inf")]
    )


def objectives(pages: Sequence[str]) -> tuple[ObjectiveStatus, ...]:
    """Add up the verdicts of several processes, objective by objective and view by view."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == _JUDGED:
                    name = (sample.labels["objective"], sample.labels["view"])
                    counts[name][sample.labels["verdict"]] += int(sample.value)
    return tuple(
        ObjectiveStatus(
            objective=objective,
            view=view,
            total=verdicts.total(),
            within=verdicts["within"],
            met=bool(judge(Tally(total=verdicts.total(), within=verdicts["within"])).met),
        )
        for (objective, view), verdicts in sorted(counts.items())
        if verdicts.total()
    )


def expired_found_at(pages: Sequence[str]) -> datetime | None:
    """Return when some process last found submissions that had expired unread."""
    found = [
        sample.value
        for page in pages
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == _EXPIRED_AT and sample.value > 0
    ]
    return datetime.fromtimestamp(max(found), tz=UTC) if found else None


def quantile(cumulative: Mapping[float, float], share: float) -> float:
    """Return the upper bound of the bucket in which the quantile lies. The last bucket must be +Inf and not empty."""
    wanted = share * cumulative[float("inf")]
    return min(bound for bound, count in cumulative.items() if count >= wanted)


async def _read_lag(settings: Settings) -> tuple[tuple[StageLag, ...], int]:
    """Return what waits for the stages of the generation that serves, and the dead letters."""
    try:
        generation = await serving(settings)
    except HeadwaterError:  # where nothing was ever started there is no directory
        generation = settings.generation

    def read() -> tuple[tuple[StageLag, ...], int]:
        reader = LagReader(settings)
        try:
            return reader.stages(generation=generation), reader.parked()
        finally:
            reader.close()

    return await asyncio.to_thread(read)


async def _metrics(port: int) -> str:
    import httpx

    async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
        try:
            answer = await client.get(f"http://{LOOPBACK}:{port}/metrics")
        except httpx.HTTPError:
            return ""  # it has just gone; its row says so
    return answer.text if answer.is_success else ""
