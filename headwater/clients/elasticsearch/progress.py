"""What stores reported of documents: two records per document, generation and store, fenced by revision."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from elasticsearch import AsyncElasticsearch

from headwater.clients.elasticsearch.bulk import Replace, Write
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.ports.read_model import StoreState, StoreStates
from headwater.settings import ElasticsearchSettings
from schemas.conversion import READABLE
from schemas.events.base import Store
from schemas.events.documents import DocumentProgressed, ProgressOutcome
from schemas.ids import DocumentId, GenerationName, TenantId


class Aspect(StrEnum):
    """Which of the two records: how the newest revision ended, or which newest one is complete (or gone)."""

    LATEST = "latest"
    COMPLETE = "complete"


def progress_writes(event: DocumentProgressed, settings: ElasticsearchSettings) -> list[Write]:
    """Return the records that one report changes, and its row of lineage."""
    failed = event.outcome is ProgressOutcome.FAILED
    # A replay may complete what had failed, and a late failure must not undo that: at one revision, success is newer.
    rank = 0 if failed else 1
    record = READABLE.dump(event)
    writes: list[Write] = [
        _aspect(event, Aspect.LATEST, version=event.revision * 2 + rank, record=record, settings=settings),
        Replace(
            index=index_name(settings, Index.LINEAGE),
            key=f"{event.document_id}/{event.revision}/{event.generation}/{event.store}",
            version=1 + rank,
            document=_facts(event) | {"record": {"progress": record}},
        ),
    ]
    if not failed:
        writes.append(_aspect(event, Aspect.COMPLETE, version=event.revision, record=record, settings=settings))
    return writes


async def read_store_states(
    client: AsyncElasticsearch,
    documents: Sequence[tuple[TenantId, DocumentId]],
    *,
    generation: GenerationName,
    settings: ElasticsearchSettings,
) -> Mapping[DocumentId, StoreStates]:
    """Return what both stores of a generation reported of these documents, in one request."""
    if not documents:
        return {}
    keys = [
        _key(document, generation, store, aspect) for _, document in documents for store in Store for aspect in Aspect
    ]
    async with translated(settings):
        response = await client.mget(index=index_name(settings, Index.PROGRESS), ids=keys)
    found = {item["_id"]: item["_source"] for item in response["docs"] if item.get("found")}

    def report(tenant: TenantId, document: DocumentId, store: Store, aspect: Aspect) -> DocumentProgressed | None:
        source = found.get(_key(document, generation, store, aspect))
        if source is None or source["tenant_id"] != tenant:
            return None
        event: DocumentProgressed = READABLE.load(source["record"], DocumentProgressed)
        return event

    return {
        document: {
            store: StoreState(
                latest=report(tenant, document, store, Aspect.LATEST),
                complete=report(tenant, document, store, Aspect.COMPLETE),
            )
            for store in Store
        }
        for tenant, document in documents
    }


def _aspect(
    event: DocumentProgressed,
    aspect: Aspect,
    *,
    version: int,
    record: Mapping[str, Any],
    settings: ElasticsearchSettings,
) -> Replace:
    return Replace(
        index=index_name(settings, Index.PROGRESS),
        key=_key(event.document_id, event.generation, event.store, aspect),
        version=version,
        document=_facts(event) | {"outcome": event.outcome, "aspect": aspect, "record": record},
    )


def _facts(event: DocumentProgressed) -> dict[str, Any]:
    return {
        "tenant_id": event.tenant_id,
        "document_id": event.document_id,
        "revision": event.revision,
        "generation": event.generation,
        "store": event.store,
    }


def _key(document: DocumentId, generation: GenerationName, store: Store, aspect: Aspect) -> str:
    return f"{document}/{generation}/{store}/{aspect}"
