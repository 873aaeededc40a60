"""The step: an event and its text become batches; a deletion and a failure become one batch without chunks."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from headwater.generations.policy import ChunkPolicy
from schemas.events.base import Lane, Position
from schemas.events.chunks import Chunk, ChunkKind
from schemas.events.documents import Access, BlobRef, Clause, DocumentChanged, DocumentOp
from schemas.ids import DocumentId, GenerationName, KnowledgeBaseId, Principal, Revision, SourceId, TenantId
from streams.prepare.prepared import Prepared
from streams.prepare.step import Failure, Origin, batch_without_chunks, chunk_batches, failed_batch

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CANONICAL = BlobRef(sha256="c" * 64, size_bytes=10)
ORIGIN = Origin(
    changed=Position(topic="rag.documents.changed", partition=1, offset=7),
    generation=GenerationName("g1"),
    policy=ChunkPolicy(),
    prepared_at=NOW,
)
EVENT = DocumentChanged(
    event_id=UUID(int=1),
    tenant_id=TenantId("acme"),
    occurred_at=NOW,
    observed_at=NOW,
    document_id=DocumentId("d" * 32),
    knowledge_base=KnowledgeBaseId("handbook"),
    source=SourceId("files"),
    external_id="leave.md",
    revision=Revision(8),
    source_version=None,
    op=DocumentOp.UPSERTED,
    lane=Lane.LIVE,
    title="Leave",
    url=None,
    media_type="text/plain",
    language=None,
    content=BlobRef(sha256="a" * 64, size_bytes=10),
    access=Access(clauses=(Clause(principals=(Principal("everyone"),)),)),
    attributes={"status": "final"},
    links=(),
    classification=None,
    retain_until=None,
    holds=(),
    region=None,
    admitted_at=NOW,
    directory_position=0,
    submitted=Position(topic="rag.documents.submitted", partition=1, offset=3),
)


def prepared(count: int, text: str = "Words.") -> Prepared:
    chunks = tuple(
        Chunk(
            ordinal=n,
            text=text,
            kind=ChunkKind.TEXT,
            section=("Leave",),
            page=None,
            start=0,
            end=len(text),
            parent_start=0,
            parent_end=len(text),
            text_hash="0" * 64,
        )
        for n in range(count)
    )
    return Prepared(text=text, content_title="On leave", media_type="text/markdown", language="en", chunks=chunks)


def test_a_long_document_becomes_batches_of_at_most_64_chunks() -> None:
    batches = chunk_batches(EVENT, prepared(150), CANONICAL, ORIGIN)
    assert [len(batch.chunks) for batch in batches] == [64, 64, 22]
    assert [(batch.batch, batch.last, batch.total) for batch in batches] == [
        (0, False, 150),
        (1, False, 150),
        (2, True, 150),
    ]
    assert [chunk.ordinal for batch in batches for chunk in batch.chunks] == list(range(150))


def test_a_batch_stays_well_under_a_mebibyte() -> None:
    batches = chunk_batches(EVENT, prepared(130, text="\N{GRINNING FACE}" * 2048), CANONICAL, ORIGIN)
    for batch in batches:
        assert sum(len(chunk.text.encode()) for chunk in batch.chunks) <= 640 * 1024
    assert sum(len(batch.chunks) for batch in batches) == 130


def test_the_trail_of_code_names_its_parser() -> None:
    code = replace(prepared(2), media_type="text/x-python")
    assert chunk_batches(EVENT, code, CANONICAL, ORIGIN)[0].trail.parser == "headwater@1+code1/structure-1"


def test_a_batch_carries_the_document_and_what_the_content_says() -> None:
    (batch,) = chunk_batches(EVENT, prepared(2), CANONICAL, ORIGIN)
    assert (batch.document_id, batch.revision, batch.access) == (EVENT.document_id, 8, EVENT.access)
    assert (batch.title, batch.content_title, batch.media_type) == ("Leave", "On leave", "text/markdown")
    assert batch.language == "en"
    assert batch.canonical == CANONICAL
    assert batch.trail.parser == "headwater@1/structure-1"
    assert batch.trail.changed == ORIGIN.changed
    assert batch.trail.prepared_at == NOW
    assert batch.trail.parser is not None
    assert "structure-1" in batch.trail.parser


def test_the_language_of_the_source_goes_before_that_of_the_content() -> None:
    (batch,) = chunk_batches(replace(EVENT, language="de"), prepared(1), CANONICAL, ORIGIN)
    assert batch.language == "de"


def test_the_same_event_gives_the_same_event_ids_and_another_generation_others() -> None:
    first = chunk_batches(EVENT, prepared(100), CANONICAL, ORIGIN)
    again = chunk_batches(EVENT, prepared(100), CANONICAL, replace(ORIGIN, prepared_at=NOW))
    other = chunk_batches(EVENT, prepared(100), CANONICAL, replace(ORIGIN, generation=GenerationName("g2")))
    ids = [batch.event_id for batch in first]
    assert ids == [batch.event_id for batch in again]
    assert len({*ids, *(batch.event_id for batch in other)}) == 4


def test_a_deletion_is_one_batch_without_chunks() -> None:
    batch = batch_without_chunks(replace(EVENT, op=DocumentOp.DELETED, content=None), ORIGIN)
    assert (batch.op, batch.chunks, batch.batch, batch.last, batch.total) == (DocumentOp.DELETED, (), 0, True, 0)
    assert batch.failed_stage is None


def test_a_failure_is_one_batch_that_says_why() -> None:
    batch = failed_batch(EVENT, Failure(error="EmptyDocumentError", reason="no text"), ORIGIN)
    assert (batch.failed_stage, batch.failed_error, batch.failed_reason) == ("prepare", "EmptyDocumentError", "no text")
    assert (batch.chunks, batch.last, batch.total) == ((), True, 0)
