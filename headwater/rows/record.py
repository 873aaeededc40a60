"""A row as JSON, for stores that keep JSON: what comes back equals what went in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headwater.ports.rows import ChunkRow
from schemas.events.chunks import ChunkKind
from schemas.events.documents import AttributeScalar, AttributeValue
from schemas.ids import DocumentId, KnowledgeBaseId, Principal, Revision, SourceId, TenantId


def encode_row(row: ChunkRow) -> dict[str, Any]:
    """Return a row's fields as JSON values."""
    return {
        "row_id": row.row_id,
        "tenant_id": row.tenant_id,
        "document_id": row.document_id,
        "revision": row.revision,
        "ordinal": row.ordinal,
        "total": row.total,
        "knowledge_base": row.knowledge_base,
        "source": row.source,
        "external_id": row.external_id,
        "title": row.title,
        "url": row.url,
        "media_type": row.media_type,
        "language": row.language,
        "text": row.text,
        "kind": row.kind.value,
        "section": list(row.section),
        "page": row.page,
        "start": row.start,
        "end": row.end,
        "parent_start": row.parent_start,
        "parent_end": row.parent_end,
        "readers": list(row.readers),
        "readers_second": list(row.readers_second),
        "attributes": encode_attributes(row.attributes),
        "occurred_at": row.occurred_at.isoformat(),
    }


def decode_row(record: Mapping[str, Any]) -> ChunkRow:
    """Read what `encode_row` wrote; further fields are ignored."""
    return ChunkRow(
        row_id=record["row_id"],
        tenant_id=TenantId(record["tenant_id"]),
        document_id=DocumentId(record["document_id"]),
        revision=Revision(record["revision"]),
        ordinal=record["ordinal"],
        total=record["total"],
        knowledge_base=KnowledgeBaseId(record["knowledge_base"]),
        source=SourceId(record["source"]),
        external_id=record["external_id"],
        title=record["title"],
        url=record["url"],
        media_type=record["media_type"],
        language=record["language"],
        text=record["text"],
        kind=ChunkKind(record["kind"]),
        section=tuple(record["section"]),
        page=record["page"],
        start=record["start"],
        end=record["end"],
        parent_start=record["parent_start"],
        parent_end=record["parent_end"],
        readers=tuple(Principal(reader) for reader in record["readers"]),
        readers_second=tuple(Principal(reader) for reader in record["readers_second"]),
        attributes=decode_attributes(record["attributes"]),
        occurred_at=datetime.fromisoformat(record["occurred_at"]),
    )


def encode_attributes(attributes: Mapping[str, AttributeValue]) -> dict[str, Any]:
    """Return attributes as JSON; a time becomes `{"time": ISO 8601}`, so that text which looks like one stays text."""
    return {
        name: [_encode_scalar(item) for item in value] if isinstance(value, tuple) else _encode_scalar(value)
        for name, value in attributes.items()
    }


def decode_attributes(record: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Read what `encode_attributes` wrote."""
    return {
        name: tuple(_decode_scalar(item) for item in value) if isinstance(value, list) else _decode_scalar(value)
        for name, value in record.items()
    }


def _encode_scalar(value: AttributeScalar) -> Any:
    return {"time": value.isoformat()} if isinstance(value, datetime) else value


def _decode_scalar(value: Any) -> AttributeScalar:
    if isinstance(value, dict):
        return datetime.fromisoformat(value["time"])
    scalar: AttributeScalar = value
    return scalar
