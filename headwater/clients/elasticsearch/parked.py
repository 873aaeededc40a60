"""Dead letters as people read them: everything but the bytes, which stay in the log at `origin`."""

from dataclasses import replace
from typing import Any

from elasticsearch import AsyncElasticsearch

from headwater.clients.elasticsearch.bulk import Create
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.cursors import decode_cursor, encode_cursor
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.ports.read_model import ParkedPage
from headwater.settings import ElasticsearchSettings
from schemas.conversion import READABLE
from schemas.events.parked import EventParked
from schemas.ids import DocumentId, TenantId


def parked_write(letter: EventParked, settings: ElasticsearchSettings) -> Create:
    """Return the record of one letter; parking it twice writes it once."""
    origin = letter.origin
    place = f"{origin.topic}/{origin.partition}/{origin.offset}"
    return Create(
        index=index_name(settings, Index.PARKED),
        key=place,
        document={
            "place": place,
            "tenant_id": letter.tenant_id,
            "document_id": letter.document_id,
            "revision": letter.revision,
            "stage": letter.stage,
            "generation": letter.generation,
            "error": letter.error,
            "parked_at": letter.parked_at.isoformat(),
            "record": READABLE.dump(replace(letter, key=None, value=b"", headers=())),
        },
    )


async def read_parked(
    client: AsyncElasticsearch,
    tenant: TenantId | None,
    *,
    document: DocumentId | None,
    limit: int,
    cursor: str | None,
    settings: ElasticsearchSettings,
) -> ParkedPage:
    """Return a page of letters, newest first."""
    terms = {"tenant_id": tenant, "document_id": document}
    filters = [{"term": {name: value}} for name, value in terms.items() if value is not None]
    async with translated(settings):
        response = await client.search(
            index=index_name(settings, Index.PARKED),
            query={"bool": {"filter": filters}},
            size=limit,
            sort=[{"parked_at": "desc"}, {"place": "asc"}],
            search_after=None if cursor is None else decode_cursor(cursor, (int, str)),
            track_total_hits=False,
        )
    hits = response["hits"]["hits"]
    return ParkedPage(
        letters=tuple(_letter(hit["_source"]) for hit in hits),
        cursor=encode_cursor(hits[-1]["sort"]) if hits and len(hits) == limit else None,
    )


def _letter(source: dict[str, Any]) -> EventParked:
    letter: EventParked = READABLE.load(source["record"], EventParked)
    return letter
