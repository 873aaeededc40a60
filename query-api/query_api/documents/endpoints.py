"""Submitting, changing and deleting documents; their state and lineage."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from query_api.changes import token_of
from query_api.dependencies import AsOf, Caller, Gate, OriginDep, RuntimeDep
from query_api.documents.addresses import Address, ExternalIdPath, SourcePath
from query_api.documents.batch import BatchWriter
from query_api.documents.content import ContentStore
from query_api.documents.reading import DocumentReader
from query_api.documents.schemas import (
    Accepted,
    AccessBody,
    BatchOutcome,
    BatchProblem,
    DocumentPatchBody,
    ListQuery,
)
from query_api.documents.service import DocumentWriter, Submitted
from query_api.documents.uploads import OPENAPI_BODY, read_upload
from query_api.documents.views import DocumentDetail, DocumentList, Lineage
from query_api.preconditions import Expected, etag
from query_api.problems import (
    ConflictError,
    ContentTooLargeError,
    DependencyUnavailableError,
    MalformedBodyError,
    NotFoundError,
    RequestTimeoutError,
    RevisionMismatchError,
    SourcePausedError,
    UnsupportedBodyError,
    problem_response,
    problems,
)
from schemas.ids import DocumentId

WRITE_PROBLEMS = problems(NotFoundError, ConflictError, SourcePausedError, RevisionMismatchError)
BATCH_PROBLEMS = problems(ContentTooLargeError, DependencyUnavailableError, RequestTimeoutError, document=BatchProblem)
PATIENCE_SHARE = 0.8  # of a request's time: past all of it the answer would hold no results
BATCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"op": "put", "source": "api", "external_id": "a", "title": "A", "text": "...", '
                '"access": {"clauses": [{"principals": ["everyone"]}]}}\n'
                '{"op": "delete", "source": "api", "external_id": "b"}\n',
            }
        },
    }
}
router = APIRouter(prefix="/documents", tags=["documents"])
DocumentIdPath: TypeAlias = Annotated[DocumentId, Path(pattern=r"^[0-9a-f]{32}$")]


async def document_writer(runtime: RuntimeDep, origin: OriginDep) -> DocumentWriter:
    """Bind the writes to this request's caller."""
    return DocumentWriter.of(runtime, origin)


async def content_store(runtime: RuntimeDep) -> ContentStore:
    """Return where uploads go."""
    return ContentStore(blobs=runtime.blobs, piece_bytes=runtime.settings.blobs.piece_bytes)


Writer = Annotated[DocumentWriter, Depends(document_writer)]
Store = Annotated[ContentStore, Depends(content_store)]


@router.put(
    "/{source}/{external_id}",
    status_code=202,
    summary="Put a document: create it, or replace all of it",
    openapi_extra=OPENAPI_BODY,
    responses=WRITE_PROBLEMS | problems(MalformedBodyError, UnsupportedBodyError),
)
async def put_document(
    request: Request, source: SourcePath, external_id: ExternalIdPath, writer: Writer, store: Store, expected: Expected
) -> Accepted:
    """Submit a document's full state. Putting the same again changes nothing.

    Send JSON with `text`, or multipart/form-data with `document` (the same JSON without `text`) and `content` (a file
    up to 100 MB, streamed). A document without `access` is for nobody. The media type is found from the content.
    """
    writer.check(source)
    wanted, content = await read_upload(request, store, writer.tenant)
    return _accepted(await writer.put(Address(source, external_id), wanted, content, expected=expected))


@router.patch(
    "/{source}/{external_id}", status_code=202, summary="Change some of a document's fields", responses=WRITE_PROBLEMS
)
async def patch_document(
    source: SourcePath,
    external_id: ExternalIdPath,
    change: Annotated[DocumentPatchBody, Body()],
    writer: Writer,
    expected: Expected,
) -> Accepted:
    """Submit a change of the fields that are named. Costs no parsing and no embedding."""
    return _accepted(await writer.patch(Address(source, external_id), change, expected=expected))


@router.put(
    "/{source}/{external_id}/access", status_code=202, summary="Set who may read a document", responses=WRITE_PROBLEMS
)
async def put_access(
    source: SourcePath,
    external_id: ExternalIdPath,
    rule: Annotated[AccessBody, Body()],
    writer: Writer,
    expected: Expected,
) -> Accepted:
    """Submit another access rule. It holds as soon as a replica has read it, before any store is written."""
    return _accepted(await writer.set_access(Address(source, external_id), rule.access(), expected=expected))


@router.delete("/{source}/{external_id}", status_code=202, summary="Delete a document", responses=WRITE_PROBLEMS)
async def delete_document(
    source: SourcePath, external_id: ExternalIdPath, writer: Writer, expected: Expected
) -> Accepted:
    """Submit a deletion. The document is hidden as soon as a replica has read it; the stores follow."""
    return _accepted(await writer.delete(Address(source, external_id), expected=expected))


@router.post(
    "/batch",
    summary="Put, patch or delete many documents",
    openapi_extra=BATCH_BODY,
    response_model=BatchOutcome,
    responses=problems(UnsupportedBodyError) | BATCH_PROBLEMS,
)
async def post_batch(request: Request, runtime: RuntimeDep, writer: Writer, store: Store) -> BatchOutcome | Response:
    """Apply NDJSON: at most 1,000 lines and 64 MiB. A line that is refused stops no other; each has its result.

    A line has `op` (put, patch, delete), `source`, `external_id` (as it is), `if_match` and the operation's fields.
    Past a limit (413), at an outage (503) and at the end of the time (504) the rest is not looked at: the problem's
    `batch` has the results so far and the line to resume at. Sending lines again is harmless.
    """
    writer.authorize()  # once: a key that may not write is refused before anything is read
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-ndjson":
        raise UnsupportedBodyError("Content-Type: send application/x-ndjson", field="Content-Type")
    limits = runtime.settings.api
    batch = BatchWriter(
        writer=writer,
        store=store,
        max_items=limits.max_batch_items,
        max_line_bytes=limits.max_body_bytes,
        patience_s=limits.request_timeout_s * PATIENCE_SHARE,
    )
    applied = await batch.apply(request.stream())
    if applied.stopped is None:
        return applied.outcome()
    problem = BatchProblem(**applied.stopped.problem().model_dump(), batch=applied.outcome())
    return problem_response(applied.stopped, problem)


async def document_reader(runtime: RuntimeDep, caller: Caller, gate: Gate, as_of: AsOf) -> DocumentReader:
    """Bind the reads to this request's caller."""
    return DocumentReader(runtime=runtime, caller=caller, gate=gate, as_of=as_of)


Reader = Annotated[DocumentReader, Depends(document_reader)]


@router.get("", summary="List documents")
async def list_documents(asked: Annotated[ListQuery, Query()], reader: Reader) -> DocumentList:
    """List the documents that the caller may read, newest first."""
    return await reader.page(asked.wanted(), limit=asked.limit, cursor=asked.cursor)


@router.get("/{document_id}", summary="Read a document's state", responses=problems(NotFoundError))
async def get_document(document_id: DocumentIdPath, reader: Reader, response: Response) -> DocumentDetail:
    """Read what was written of a document and how far it is: each store, the times of each stage, why it failed."""
    detail = await reader.get(document_id)
    response.headers["ETag"] = etag(detail.revision)
    return detail


@router.get("/{document_id}/lineage", summary="Read a document's lineage", responses=problems(NotFoundError))
async def get_lineage(document_id: DocumentIdPath, reader: Reader) -> Lineage:
    """Read the way of every recorded revision: submission and log position, parser, model, stores, times."""
    return await reader.lineage(document_id)


def _accepted(submitted: Submitted) -> Accepted:
    return Accepted(document_id=submitted.document_id, token=token_of(submitted.positions))
