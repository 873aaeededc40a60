"""Freshness on Elasticsearch: legs of live revisions, and the canary's steps."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from headwater.clients.elasticsearch.adapter import SharedAdapter
from headwater.clients.elasticsearch.bulk import Create, write_all
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.clients.elasticsearch.queries import Query
from headwater.freshness.legs import Leg
from headwater.freshness.objectives import STEPS, Promise, Tally
from headwater.ports.freshness import CanarySeen, DocumentsMeasured, PartitionSeen, Spread, StepSeen
from schemas.events.base import Lane
from schemas.events.canaries import CanaryMeasured, CanaryOutcome, CanaryStep
from schemas.ids import GenerationName, TenantId

_PERCENTS: Final = [50, 95, 99]
_MAX_PARTITIONS: Final = 10_000
_PROMISED: Final = {Leg.WORDS: Promise.WORDS, Leg.MEANING: Promise.MEANING}


class ElasticsearchFreshness(SharedAdapter):
    """Implements the FreshnessReadModel port."""

    async def record_rounds(self, rounds: Sequence[CanaryMeasured]) -> None:
        """See the port."""
        index = index_name(self._settings, Index.CANARIES)
        writes = [
            Create(index=index, key=row["round_id"] + "/" + row["step"], document=row)
            for each in rounds
            for row in _rows(each)
        ]
        await write_all(self._client, writes, settings=self._settings, refresh="false")

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
        """See the port."""
        filters: list[Query] = [
            {"term": {"lane": Lane.LIVE}},
            {"term": {"generation": generation}},
            _within("searchable_at", since, until),
        ]
        if tenant is not None:
            filters.append({"term": {"tenant_id": tenant}})
        query = {"bool": {"filter": filters, "must_not": [{"term": {"tenant_id": excluding}}]}}
        asked = {leg.value: _timed(f"{leg}_ms") for leg in Leg}
        for leg, promise in _PROMISED.items():
            asked[leg.value]["aggs"]["within"] = {"filter": _at_most(f"{leg}_ms", targets[promise])}
        found = await self._aggregate(Index.INGESTIONS, query, asked)
        return DocumentsMeasured(
            legs={leg: _spread(found[leg]) for leg in Leg},
            tallies={
                promise: Tally(total=found[leg]["doc_count"], within=found[leg]["within"]["doc_count"])
                for leg, promise in _PROMISED.items()
            },
        )

    async def canary(
        self, tenant: TenantId, *, since: datetime, until: datetime, targets: Mapping[Promise, int]
    ) -> CanarySeen:
        """See the port."""
        query = {"bool": {"filter": [{"term": {"tenant_id": tenant}}, _within("occurred_at", since, until)]}}
        asked = {step.value: _step(step, targets) for step in CanaryStep}
        found = await self._aggregate(Index.CANARIES, query, asked | {"partitions": _BY_PARTITION})
        return CanarySeen(
            steps={step: _step_seen(found[step]) for step in CanaryStep},
            partitions=[
                _partition(bucket)
                for bucket in sorted(found["partitions"]["buckets"], key=lambda bucket: int(bucket["key"]))
            ],
        )

    async def _aggregate(self, index: Index, query: Query, aggregations: Mapping[str, Any]) -> Mapping[str, Any]:
        async with translated(self._settings):
            response = await self._client.search(
                index=index_name(self._settings, index),
                query=query,
                size=0,
                track_total_hits=False,
                aggregations=aggregations,
            )
        found: Mapping[str, Any] = response["aggregations"]
        return found


def _rows(measured: CanaryMeasured) -> list[dict[str, Any]]:
    return [
        {
            "tenant_id": measured.tenant_id,
            "round_id": str(measured.event_id),
            "partition": measured.partition,
            "occurred_at": measured.occurred_at.isoformat(),
            "step": each.step.value,
            "outcome": each.outcome.value,
            "duration_ms": each.duration_ms,
            "error": each.error,
        }
        for each in measured.steps
    ]


def _within(field: str, since: datetime, until: datetime) -> Query:
    return {"range": {field: {"gte": since.isoformat(), "lt": until.isoformat()}}}


def _at_most(field: str, target_ms: int) -> Query:
    return {"range": {field: {"lte": target_ms}}}


def _timed(field: str) -> dict[str, Any]:
    return {
        "filter": {"exists": {"field": field}},
        "aggs": {"spread": {"percentiles": {"field": field, "percents": _PERCENTS}}},
    }


def _ended(outcome: CanaryOutcome) -> dict[str, Any]:
    return {"filter": {"term": {"outcome": outcome}}}


def _step(step: CanaryStep, targets: Mapping[Promise, int]) -> dict[str, Any]:
    passed = _ended(CanaryOutcome.PASSED)
    passed["aggs"] = _timed("duration_ms")["aggs"]
    if step in STEPS:
        passed["aggs"] = passed["aggs"] | {"within": {"filter": _at_most("duration_ms", targets[STEPS[step]])}}
    return {
        "filter": {"term": {"step": step}},
        "aggs": {
            "passed": passed,
            "failed": _ended(CanaryOutcome.FAILED),
            "skipped": _ended(CanaryOutcome.SKIPPED),
        },
    }


_BY_PARTITION: Final[Mapping[str, Any]] = {
    "terms": {"field": "partition", "size": _MAX_PARTITIONS},
    "aggs": {
        "last": {"max": {"field": "occurred_at"}},
        "rounds": {"filter": {"term": {"step": CanaryStep.WRITE}}},  # every round begins with one
        "failed": _ended(CanaryOutcome.FAILED) | {"aggs": {"steps": {"terms": {"field": "step", "size": 100}}}},
    },
}


def _spread(found: Mapping[str, Any]) -> Spread:
    p50, p95, p99 = (found["spread"]["values"][f"{percent}.0"] for percent in _PERCENTS)
    return Spread(count=found["doc_count"], p50_ms=p50, p95_ms=p95, p99_ms=p99)


def _step_seen(found: Mapping[str, Any]) -> StepSeen:
    passed = found["passed"]
    return StepSeen(
        passed=_spread(passed),
        failed=found["failed"]["doc_count"],
        skipped=found["skipped"]["doc_count"],
        within=passed["within"]["doc_count"] if "within" in passed else 0,
    )


def _partition(bucket: Mapping[str, Any]) -> PartitionSeen:
    return PartitionSeen(
        partition=int(bucket["key"]),
        rounds=bucket["rounds"]["doc_count"],
        last_round_at=datetime.fromisoformat(bucket["last"]["value_as_string"]),
        failed={CanaryStep(each["key"]): each["doc_count"] for each in bucket["failed"]["steps"]["buckets"]},
    )
