"""Rows of a batch, and rows as JSON."""

import json
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from headwater.ports.rows import ChunkRow
from headwater.rows import decode_row, encode_row, rows
from schemas.events.chunks import ChunksEmbedded, ChunksPrepared
from schemas.events.documents import Access, Clause
from schemas.ids import EVERYONE, Principal, row_id
from tests.support.filters import hostile_rows
from tests.support.golden import golden


def test_a_batch_gives_one_row_a_chunk() -> None:
    batch = golden(ChunksPrepared, "upserted")
    made = rows(batch)
    assert [row.ordinal for row in made] == [chunk.ordinal for chunk in batch.chunks]
    for row, chunk in zip(made, batch.chunks, strict=True):
        assert row.row_id == row_id(batch.document_id, batch.revision, chunk.ordinal)
        assert (row.text, row.section, row.page, row.start, row.end) == (
            chunk.text,
            chunk.section,
            chunk.page,
            chunk.start,
            chunk.end,
        )
        assert (row.tenant_id, row.knowledge_base, row.total) == (batch.tenant_id, batch.knowledge_base, batch.total)
    assert made == rows(batch)


def test_both_stores_get_the_same_rows() -> None:
    embedded = golden(ChunksEmbedded, "upserted")
    taken = {each.name: getattr(embedded, each.name) for each in fields(ChunksPrepared)}
    assert rows(embedded) == rows(ChunksPrepared(**taken))


def test_a_row_carries_the_readers_of_the_two_narrowest_clauses() -> None:
    staff, ann = Principal("group:hr:staff"), Principal("user:ann")
    clauses = tuple(Clause(principals=each) for each in ((EVERYONE,), (staff, ann), (ann,)))
    row = rows(replace(golden(ChunksPrepared, "upserted"), access=Access(clauses=clauses)))[0]
    assert (row.readers, row.readers_second) == ((ann,), (staff, ann))


@given(st.sampled_from(hostile_rows(100)))
def test_a_row_survives_json(row: ChunkRow) -> None:
    assert decode_row(json.loads(json.dumps(encode_row(row)))) == row
