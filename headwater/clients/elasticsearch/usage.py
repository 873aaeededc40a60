"""Figures of a period, as aggregations and back."""

from collections.abc import Mapping
from typing import Any, Final

from headwater.ports.read_model import FeedbackUsage, IngestionUsage, QueryUsage
from schemas.events.queries import FeedbackType

_PERCENTS: Final = [50, 95]

QUERY_FIGURES: Final[Mapping[str, Any]] = {
    "answered": {"filter": {"term": {"answered": True}}},
    "without_passages": {"filter": {"term": {"passages": 0}}},
    "failed": {"filter": {"bool": {"must_not": {"exists": {"field": "passages"}}}}},
    "cache_hits": {"filter": {"term": {"cache_hit": True}}},
    "degraded": {"filter": {"exists": {"field": "degraded"}}},
    "prompt_tokens": {"sum": {"field": "prompt_tokens"}},
    "completion_tokens": {"sum": {"field": "completion_tokens"}},
    "latency": {"percentiles": {"field": "total_ms", "percents": _PERCENTS}},
    "by_day": {"date_histogram": {"field": "occurred_at", "calendar_interval": "day", "format": "yyyy-MM-dd"}},
}

FEEDBACK_FIGURES: Final[Mapping[str, Any]] = {
    "rating": {"avg": {"field": "rating"}},
    "by_type": {"terms": {"field": "type", "size": len(FeedbackType)}},
}

INGESTION_FIGURES: Final[Mapping[str, Any]] = {
    "chunks": {"sum": {"field": "chunks"}},
    "embedded": {"sum": {"field": "embedded"}},
    "reused": {"sum": {"field": "reused"}},
    "freshness": {"percentiles": {"field": "freshness_ms", "percents": _PERCENTS}},
}


def query_usage(figures: Mapping[str, Any]) -> QueryUsage:
    """Read the results of QUERY_FIGURES."""
    return QueryUsage(
        count=_value(figures, "count"),
        answered=figures["answered"]["doc_count"],
        without_passages=figures["without_passages"]["doc_count"],
        failed=figures["failed"]["doc_count"],
        cache_hits=figures["cache_hits"]["doc_count"],
        degraded=figures["degraded"]["doc_count"],
        prompt_tokens=_value(figures, "prompt_tokens"),
        completion_tokens=_value(figures, "completion_tokens"),
        latency_p50_ms=_percentile(figures, "latency", "50.0"),
        latency_p95_ms=_percentile(figures, "latency", "95.0"),
        by_day={bucket["key_as_string"]: bucket["doc_count"] for bucket in figures["by_day"]["buckets"]},
    )


def feedback_usage(figures: Mapping[str, Any]) -> FeedbackUsage:
    """Read the results of FEEDBACK_FIGURES."""
    return FeedbackUsage(
        count=_value(figures, "count"),
        average_rating=figures["rating"]["value"],
        by_type={FeedbackType(bucket["key"]): bucket["doc_count"] for bucket in figures["by_type"]["buckets"]},
    )


def ingestion_usage(figures: Mapping[str, Any]) -> IngestionUsage:
    """Read the results of INGESTION_FIGURES."""
    return IngestionUsage(
        count=_value(figures, "count"),
        chunks=_value(figures, "chunks"),
        embedded=_value(figures, "embedded"),
        reused=_value(figures, "reused"),
        freshness_p50_ms=_percentile(figures, "freshness", "50.0"),
        freshness_p95_ms=_percentile(figures, "freshness", "95.0"),
    )


def _value(figures: Mapping[str, Any], name: str) -> int:
    return int(figures[name]["value"])


def _percentile(figures: Mapping[str, Any], name: str, percent: str) -> float | None:
    value: float | None = figures[name]["values"][percent]
    return value
