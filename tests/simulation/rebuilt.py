"""What the log alone makes of a document in a store: each row whole, put together again by the plainest means."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from headwater.ports.rows import ChunkRow, Vector
from schemas.events import DocumentChanged
from schemas.events.base import Lane
from schemas.events.documents import Access
from schemas.ids import EVERYONE, Principal
from streams.prepare.prepared import Prepared
from tests.simulation.stores import now
from tests.support.models import FakeEmbedder

_FIELDS = tuple(each.name for each in fields(ChunkRow))


def rows_of(record: DocumentChanged, prepared: Prepared) -> dict[str, ChunkRow]:
    """Return all that both stores hold of a revision, by row id: metadata from the log, the rest from its content."""
    readers, readers_second = _readers(record.access)
    rows = [
        ChunkRow(
            row_id=f"{record.document_id}#{record.revision}#{number}",
            tenant_id=record.tenant_id,
            document_id=record.document_id,
            revision=record.revision,
            ordinal=number,
            total=len(prepared.chunks),
            knowledge_base=record.knowledge_base,
            source=record.source,
            external_id=record.external_id,
            title=record.title,
            url=record.url,
            media_type=prepared.media_type,
            language=record.language or prepared.language,
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
            attributes=record.attributes,
            occurred_at=record.occurred_at,
        )
        for number, chunk in enumerate(prepared.chunks)
    ]
    return {row.row_id: row for row in rows}


def _readers(access: Access) -> tuple[tuple[Principal, ...], tuple[Principal, ...]]:
    """Return the principals of the two narrowest clauses; `deny` is in the log and in heads, not in rows."""
    narrow = [sorted(set(each.principals)) for each in access.clauses if EVERYONE not in each.principals]
    wide = [sorted(set(each.principals)) for each in access.clauses if EVERYONE in each.principals]
    named = [tuple(each) for each in (*sorted(narrow, key=len), *sorted(wide, key=len))]
    return (named[0], named[1 if len(named) > 1 else 0]) if named else ((), ())


def unlike(row: ChunkRow, expected: ChunkRow) -> Sequence[str]:
    """Name the fields in which a row differs."""
    if row == expected:
        return ()
    return [name for name in _FIELDS if getattr(row, name) != getattr(expected, name)]


def displaced(rows: dict[str, ChunkRow], vectors: dict[str, Vector], content_title: str) -> Iterator[str]:
    """Yield the ids of the rows whose vector is not that of their own title, section and text."""
    for row_id, row in rows.items():
        path = " > ".join(dict.fromkeys(part for part in (content_title, *row.section) if part))
        if not np.allclose(vectors[row_id], _vector(f"{path}\n{row.text}" if path else row.text)):
            yield row_id


@lru_cache(maxsize=8192)
def _vector(text: str) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = now(FakeEmbedder().embed([text], lane=Lane.LIVE))[0]
    return vector
