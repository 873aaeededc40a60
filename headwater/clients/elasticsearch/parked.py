"""Dead letters as people read them: everything but the bytes, which stay in the log at `origin`.

One record a letter, written whole by version: a letter as it was parked has the lowest, what was done about it the time
of that. So the latest counts, in whatever order and however often the events come.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from elasticsearch import AsyncElasticsearch

from headwater.clients.elasticsearch.bulk import Replace
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.cursors import decode_cursor, encode_cursor
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.clients.elasticsearch.queries import Query
from headwater.ports.read_model import Letter, LetterFilter, LetterGroup, LetterPage
from headwater.settings import ElasticsearchSettings
from schemas.conversion import READABLE
from schemas.events.base import Position, place_of
from schemas.events.parked import EventParked, EventResolved, LetterState
from schemas.ids import TenantId

_AS_PARKED: Final = 1
_MAX_STAGES, _MAX_ERRORS, _MAX_GROUPS = 20, 50, 100
_CAUSES: Final = {
    "stages": {
        "terms": {"field": "stage", "size": _MAX_STAGES},
        "aggs": {
            "errors": {
                "terms": {"field": "error", "size": _MAX_ERRORS},
                "aggs": {"oldest": {"min": {"field": "parked_at"}}, "newest": {"max": {"field": "parked_at"}}},
            }
        },
    }
}


def parked_write(letter: EventParked, settings: ElasticsearchSettings) -> Replace:
    """Return the record of one letter; parking it twice, or late, changes nothing."""
    return _write(letter, settings, version=_AS_PARKED)


def resolved_write(event: EventResolved, settings: ElasticsearchSettings) -> Replace:
    """Return the record of a letter that somebody has dealt with."""
    version = int(event.occurred_at.timestamp() * 1000)
    bare = replace(event, letter=_bare(event.letter))
    return _write(event.letter, settings, version=version, resolution=event.state, resolved=READABLE.dump(bare))


async def read_letter(
    client: AsyncElasticsearch, tenant: TenantId | None, origin: Position, *, settings: ElasticsearchSettings
) -> Letter | None:
    """Return a letter by its origin; a write is seen on return."""
    async with translated(settings):
        response = await client.mget(index=index_name(settings, Index.PARKED), ids=[place_of(origin)])
    found = response["docs"][0]
    if not found.get("found") or tenant not in {None, found["_source"]["tenant_id"]}:
        return None
    return _letter(found["_source"])


async def read_letters(
    client: AsyncElasticsearch,
    wanted: LetterFilter,
    *,
    limit: int,
    cursor: str | None,
    settings: ElasticsearchSettings,
) -> LetterPage:
    """Return a page of letters, newest first."""
    async with translated(settings):
        response = await client.search(
            index=index_name(settings, Index.PARKED),
            query=_query(wanted),
            size=limit,
            sort=[{"parked_at": "desc"}, {"place": "asc"}],
            search_after=None if cursor is None else decode_cursor(cursor, (int, str)),
            track_total_hits=False,
        )
    hits = response["hits"]["hits"]
    return LetterPage(
        letters=tuple(_letter(hit["_source"]) for hit in hits),
        cursor=encode_cursor(hits[-1]["sort"]) if hits and len(hits) == limit else None,
    )


async def group_letters(
    client: AsyncElasticsearch, wanted: LetterFilter, *, settings: ElasticsearchSettings
) -> Sequence[LetterGroup]:
    """Return the causes of letters, the most frequent first."""
    async with translated(settings):
        response = await client.search(
            index=index_name(settings, Index.PARKED), query=_query(wanted), size=0, aggs=_CAUSES
        )
    groups = sorted(_groups(response["aggregations"]), key=lambda group: (-group.count, group.stage, group.error))
    return groups[:_MAX_GROUPS]


def _groups(aggregations: Any) -> Iterator[LetterGroup]:
    for stage in aggregations["stages"]["buckets"]:
        for error in stage["errors"]["buckets"]:
            yield LetterGroup(
                stage=stage["key"],
                error=error["key"],
                count=error["doc_count"],
                oldest=_instant(error["oldest"]["value"]),
                newest=_instant(error["newest"]["value"]),
            )


def _instant(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _write(letter: EventParked, settings: ElasticsearchSettings, *, version: int, **state: Any) -> Replace:
    place = place_of(letter.origin)
    return Replace(
        index=index_name(settings, Index.PARKED),
        key=place,
        version=version,
        document={
            "place": place,
            "tenant_id": letter.tenant_id,
            "document_id": letter.document_id,
            "revision": letter.revision,
            "stage": letter.stage,
            "generation": letter.generation,
            "error": letter.error,
            "parked_at": letter.parked_at.isoformat(),
            "record": READABLE.dump(_bare(letter)),
            **state,
        },
    )


def _query(wanted: LetterFilter) -> Query:
    terms = {
        "tenant_id": wanted.tenant,
        "document_id": wanted.document,
        "stage": wanted.stage,
        "error": wanted.error,
        "resolution": None if wanted.state is LetterState.PARKED else wanted.state,
    }
    filters: list[Query] = [{"term": {name: value}} for name, value in terms.items() if value is not None]
    bounds = {"gte": wanted.parked_from, "lt": wanted.parked_until}
    period = {name: bound.isoformat() for name, bound in bounds.items() if bound is not None}
    if period:
        filters.append({"range": {"parked_at": period}})
    open_only = [{"exists": {"field": "resolution"}}] if wanted.state is LetterState.PARKED else []
    return {"bool": {"filter": filters, "must_not": open_only}}


def _bare(letter: EventParked) -> EventParked:
    return replace(letter, key=None, value=b"", headers=())


def _letter(source: dict[str, Any]) -> Letter:
    resolved = source.get("resolved")
    return Letter(
        parked=READABLE.load(source["record"], EventParked),
        resolved=None if resolved is None else READABLE.load(resolved, EventResolved),
    )
