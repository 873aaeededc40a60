"""The newest refused submission of each document: one record beside its lineage, fenced by the time of the refusal."""

from typing import Any

from elasticsearch import AsyncElasticsearch

from headwater.clients.elasticsearch.bulk import Replace
from headwater.clients.elasticsearch.connection import translated
from headwater.clients.elasticsearch.names import Index, index_name
from headwater.ports.read_model import RefusedSubmission
from headwater.settings import ElasticsearchSettings
from schemas.conversion import READABLE
from schemas.ids import DocumentId, TenantId

_FIELD = "refused"


def refusal_write(refusal: RefusedSubmission, settings: ElasticsearchSettings) -> Replace:
    """Return the record of a refusal; an older one never replaces it."""
    # Revisions are milliseconds of admission's clock, too: among a document's lineage this is when it was refused.
    refused_ms = round(refusal.refused_at.timestamp() * 1_000)
    return Replace(
        index=index_name(settings, Index.LINEAGE),
        key=_key(refusal.document_id),
        version=refused_ms,
        document={
            "tenant_id": refusal.tenant_id,
            "document_id": refusal.document_id,
            "revision": refused_ms,
            "record": {_FIELD: READABLE.dump(refusal)},
        },
    )


async def read_refusal(
    client: AsyncElasticsearch, tenant: TenantId, document: DocumentId, *, settings: ElasticsearchSettings
) -> RefusedSubmission | None:
    """Return a document's newest refusal."""
    async with translated(settings):
        response = await client.mget(index=index_name(settings, Index.LINEAGE), ids=[_key(document)])
    found = response["docs"][0]
    if not found.get("found") or found["_source"]["tenant_id"] != tenant:
        return None
    refusal: RefusedSubmission = READABLE.load(found["_source"]["record"][_FIELD], RefusedSubmission)
    return refusal


def is_refusal(source: dict[str, Any]) -> bool:
    """Say whether a record of the lineage index is a refusal and no step of a revision."""
    return _FIELD in source["record"]


def _key(document: DocumentId) -> str:
    return f"{document}/{_FIELD}"
