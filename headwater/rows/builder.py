"""From a batch of chunks to rows."""

from headwater.access.clauses import row_readers
from headwater.ports.rows import ChunkRow
from schemas.events.chunks import ChunkBatch
from schemas.ids import row_id


def rows(batch: ChunkBatch) -> list[ChunkRow]:
    """Return one row a chunk, in the batch's order; the same batch gives the same rows.

    A row carries the readers of the two most selective clauses: a superset of who may read, which the gate narrows.
    """
    readers, readers_second = row_readers(batch.access)
    return [
        ChunkRow(
            row_id=row_id(batch.document_id, batch.revision, chunk.ordinal),
            tenant_id=batch.tenant_id,
            document_id=batch.document_id,
            revision=batch.revision,
            ordinal=chunk.ordinal,
            total=batch.total,
            knowledge_base=batch.knowledge_base,
            source=batch.source,
            external_id=batch.external_id,
            title=batch.title,
            url=batch.url,
            media_type=batch.media_type,
            language=batch.language,
            text=chunk.text,
            kind=chunk.kind,
            section=chunk.section,
            page=chunk.page,
            start=chunk.start,
            end=chunk.end,
            parent_start=chunk.parent_start,
            parent_end=chunk.parent_end,
            readers=readers,
            readers_second=readers_second,
            attributes=batch.attributes,
            occurred_at=batch.occurred_at,
        )
        for chunk in batch.chunks
    ]
