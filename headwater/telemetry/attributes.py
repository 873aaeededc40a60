"""The only fields that logs and spans may carry: no text, no vectors, no secrets, nothing a caller typed."""

from typing import Final

ALLOWED: Final = frozenset(
    {
        # of the platform
        "stage", "generation", "store", "lane", "outcome", "error", "reason", "attempt", "attempts", "retry_in_s",
        "dependency", "process", "pid", "port", "version", "signal", "phase", "method", "route", "status", "code",
        "returncode", "served",
        # of the log
        "topic", "partition", "partitions", "offset", "offsets", "group", "events", "records", "bytes", "lag",
        # of an event; ids are opaque
        "event_id", "tenant_id", "document_id", "revision", "batch", "total", "rows", "chunks", "query_id", "source",
        "kind", "op", "mode", "model", "parser", "embedded", "reused", "media_type",
        "external_id",  # what a source calls an item, of one that could not be read: who mends it must find it there
        # figures
        "count", "size_bytes", "duration_s", "duration_ms", "budget_s", "age_s", "position", "limit", "degraded",
        # of logging itself
        "event", "level", "timestamp", "logger", "exception", "trace_id", "span_id", "dropped",
    }
)  # fmt: skip
