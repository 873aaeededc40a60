"""Mappings of all indices. `dynamic` is never on: a field that is not declared here is a mistake, not a new column."""

from typing import Any, Final

from headwater.freshness.legs import Leg

KEYWORD: Final = {"type": "keyword"}
LONG: Final = {"type": "long"}
DATE: Final = {"type": "date"}
FLAG: Final = {"type": "boolean"}
DOUBLE: Final = {"type": "double"}
OPAQUE: Final = {"type": "object", "enabled": False}  # kept and given back, never searched
_TEXT: Final = {"type": "text", "analyzer": "passage"}
_UNSEARCHED: Final = {"type": "keyword", "index": False, "doc_values": False}
_UNSEARCHED_LONG: Final = {"type": "long", "index": False, "doc_values": False}


def mapping(properties: dict[str, Any], **meta: str | int | bool) -> dict[str, Any]:
    """Return a strict mapping that records what it was made with."""
    return {"dynamic": "strict", "_meta": meta, "properties": properties}


CHUNKS: Final[dict[str, Any]] = {
    "row_id": KEYWORD,
    "tenant_id": KEYWORD,
    "document_id": KEYWORD,
    "revision": LONG,
    "ordinal": LONG,
    "total": _UNSEARCHED_LONG,
    "knowledge_base": KEYWORD,
    "source": KEYWORD,
    "external_id": KEYWORD,
    "title": _TEXT,
    "url": _UNSEARCHED,
    "media_type": KEYWORD,
    "language": KEYWORD,
    "text": _TEXT,
    "kind": KEYWORD,
    "section": _TEXT,
    "page": _UNSEARCHED_LONG,
    "start": _UNSEARCHED_LONG,
    "end": _UNSEARCHED_LONG,
    "parent_start": _UNSEARCHED_LONG,
    "parent_end": _UNSEARCHED_LONG,
    "readers": KEYWORD,
    "readers_second": KEYWORD,
    "facets": KEYWORD,
    "attributes": OPAQUE,
    "occurred_at": DATE,
}

DOCUMENTS: Final[dict[str, Any]] = {
    "tenant_id": KEYWORD,
    "document_id": KEYWORD,
    "revision": LONG,
    "op": KEYWORD,
    "knowledge_base": KEYWORD,
    "source": KEYWORD,
    "external_id": KEYWORD,
    "media_type": KEYWORD,
    "language": KEYWORD,
    "title": _TEXT,
    "readers": KEYWORD,
    "readers_second": KEYWORD,
    "facets": KEYWORD,
    "admitted_at": DATE,
    "record": OPAQUE,
}

PROGRESS: Final[dict[str, Any]] = {
    "tenant_id": KEYWORD,
    "document_id": KEYWORD,
    "revision": LONG,
    "generation": KEYWORD,
    "store": KEYWORD,
    "outcome": KEYWORD,
    "aspect": KEYWORD,  # latest or complete
    "record": OPAQUE,
}

LINEAGE: Final[dict[str, Any]] = {
    "tenant_id": KEYWORD,
    "document_id": KEYWORD,
    "revision": LONG,
    "generation": KEYWORD,
    "store": KEYWORD,
    "record": OPAQUE,
}

PARKED: Final[dict[str, Any]] = {
    "place": KEYWORD,
    "tenant_id": KEYWORD,
    "document_id": KEYWORD,
    "revision": LONG,
    "stage": KEYWORD,
    "generation": KEYWORD,
    "error": KEYWORD,
    "parked_at": DATE,
    "record": OPAQUE,
}

LETTER_STATES: Final[dict[str, Any]] = {
    "resolution": KEYWORD,  # only where somebody has dealt with the letter
    "resolved": OPAQUE,
}

QUERIES: Final[dict[str, Any]] = {
    "tenant_id": KEYWORD,
    "query_id": KEYWORD,
    "occurred_at": DATE,
    "kind": KEYWORD,
    "user": KEYWORD,
    "mode": KEYWORD,
    "generation": KEYWORD,
    "knowledge_bases": KEYWORD,
    "documents": KEYWORD,
    "passages": LONG,
    "answered": FLAG,
    "cache_hit": FLAG,
    "degraded": KEYWORD,
    "prompt_tokens": LONG,
    "completion_tokens": LONG,
    "total_ms": DOUBLE,
    "record": OPAQUE,
}

FEEDBACK: Final[dict[str, Any]] = {
    "tenant_id": KEYWORD,
    "query_id": KEYWORD,
    "occurred_at": DATE,
    "user": KEYWORD,
    "rating": LONG,
    "type": KEYWORD,
    "record": OPAQUE,
}

INGESTIONS: Final[dict[str, Any]] = {
    "tenant_id": KEYWORD,
    "document_id": KEYWORD,
    "revision": LONG,
    "generation": KEYWORD,
    "knowledge_base": KEYWORD,
    "source": KEYWORD,
    "op": KEYWORD,
    "chunks": LONG,
    "embedded": LONG,
    "reused": LONG,
    "occurred_at": DATE,
    "freshness_ms": LONG,
}

INGESTION_LEGS: Final[dict[str, Any]] = {
    "lane": KEYWORD,
    "searchable_at": DATE,  # or gone: when the last store had it
    **{f"{leg}_ms": LONG for leg in Leg},
}

CANARIES: Final[dict[str, Any]] = {
    "tenant_id": KEYWORD,
    "round_id": KEYWORD,
    "partition": LONG,
    "occurred_at": DATE,
    "step": KEYWORD,
    "outcome": KEYWORD,
    "duration_ms": LONG,
    "error": KEYWORD,
}

CONSISTENCY: Final[dict[str, Any]] = {
    "tenant_id": KEYWORD,
    "finished_at": DATE,
    "clean": FLAG,
    "record": OPAQUE,
}

MIGRATIONS: Final[dict[str, Any]] = {
    "number": LONG,
    "name": KEYWORD,
    "generation": KEYWORD,
    "applied_at": DATE,
    "version": KEYWORD,
    "findings": OPAQUE,
}
