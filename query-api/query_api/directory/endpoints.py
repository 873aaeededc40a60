"""The directory: one PUT per kind, so that each body has its own schema; reading and deleting are the same for all."""

from enum import StrEnum
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from headwater.ports.heads import Positions
from query_api.changes import token_of
from query_api.dependencies import OriginDep, RuntimeDep
from query_api.directory.schemas import (
    GroupBody,
    KnowledgeBaseBody,
    RecordAccepted,
    RecordBody,
    RecordPage,
    RecordView,
    RetrievalProfileBody,
    SourceBody,
    TenantBody,
    UserBody,
)
from query_api.directory.service import DirectoryService
from query_api.preconditions import Expected, etag
from query_api.problems import ConflictError, NotFoundError, RevisionMismatchError, problems
from schemas.events.directory import DirectoryKind
from schemas.ids import Revision

WRITE_PROBLEMS = problems(NotFoundError, RevisionMismatchError)
MAX_PAGE = 500
router = APIRouter(prefix="/directory", tags=["directory"])


class ReadableKind(StrEnum):
    """Kinds that can be read here; keys have their own path, where their hashes are left out."""

    TENANT = "tenants"
    USER = "users"
    GROUP = "groups"
    KNOWLEDGE_BASE = "knowledge-bases"
    SOURCE = "sources"
    RETRIEVAL_PROFILE = "retrieval-profiles"
    GENERATION = "generations"


class DeletableKind(StrEnum):
    """Kinds that are deleted alike: sources have a deletion of their own, generations change by migrations."""

    TENANT = "tenants"
    USER = "users"
    GROUP = "groups"
    KNOWLEDGE_BASE = "knowledge-bases"
    RETRIEVAL_PROFILE = "retrieval-profiles"


async def directory_service(runtime: RuntimeDep, origin: OriginDep) -> DirectoryService:
    """Bind the directory to this request's caller."""
    return DirectoryService.of(runtime, origin)


Service = Annotated[DirectoryService, Depends(directory_service)]
RecordId: TypeAlias = Annotated[str, Path(max_length=320, description="Groups are named `SOURCE:ID`.")]


@router.get("/{kind}", summary="List the records of a kind", responses=problems(NotFoundError))
async def list_records(
    kind: ReadableKind,
    service: Service,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    cursor: Annotated[str | None, Query(max_length=2_000)] = None,
) -> RecordPage:
    """List, ordered by id. Knowledge bases and retrieval profiles are for every reader, the rest for administrators."""
    entries, following = service.page(DirectoryKind(kind.value), limit=limit, cursor=cursor)
    return RecordPage(records=[RecordView.of(entry) for entry in entries], cursor=following)


@router.get("/{kind}/{record_id}", summary="Read a record", responses=problems(NotFoundError))
async def get_record(kind: ReadableKind, record_id: RecordId, service: Service, response: Response) -> RecordView:
    """Read a record; its revision is the ETag."""
    entry = service.get(DirectoryKind(kind.value), record_id)
    response.headers["ETag"] = etag(entry.revision)
    return RecordView.of(entry)


@router.delete(
    "/sources/{record_id}",
    status_code=202,
    summary="Delete a source",
    responses=problems(NotFoundError, RevisionMismatchError, ConflictError),
)
async def delete_source(
    record_id: RecordId,
    service: Service,
    expected: Expected,
    documents: Annotated[
        int | None,
        Query(ge=0, description="Delete its documents as well, if there are no more than these; else they stay."),
    ] = None,
) -> RecordAccepted:
    """Submit a deletion. Its documents follow one after the other; what is under a hold stays until it is released."""
    if documents is None:
        positions = await service.delete(DirectoryKind.SOURCE, record_id, expected=expected)
    else:
        positions = await service.remove_source(record_id, expected=expected, confirmed=documents)
    return RecordAccepted(kind=DirectoryKind.SOURCE.value, id=record_id, token=token_of(positions))


@router.delete("/{kind}/{record_id}", status_code=202, summary="Delete a record", responses=WRITE_PROBLEMS)
async def delete_record(
    kind: DeletableKind, record_id: RecordId, service: Service, expected: Expected
) -> RecordAccepted:
    """Submit a deletion. Deleting a knowledge base or a tenant hides all its documents at once."""
    positions = await service.delete(DirectoryKind(kind.value), record_id, expected=expected)
    return RecordAccepted(kind=kind.value, id=record_id, token=token_of(positions))


@router.put("/tenants/{record_id}", status_code=202, summary="Put a tenant", responses=WRITE_PROBLEMS)
async def put_tenant(
    record_id: RecordId, record: Annotated[TenantBody, Body()], service: Service, expected: Expected
) -> RecordAccepted:
    """Submit a tenant. Needs the scope `system`."""
    return await _put(service, DirectoryKind.TENANT, record_id, record, expected)


@router.put("/users/{record_id}", status_code=202, summary="Put a user", responses=WRITE_PROBLEMS)
async def put_user(
    record_id: RecordId, record: Annotated[UserBody, Body()], service: Service, expected: Expected
) -> RecordAccepted:
    """Submit a user."""
    return await _put(service, DirectoryKind.USER, record_id, record, expected)


@router.put("/groups/{record_id}", status_code=202, summary="Put a group", responses=WRITE_PROBLEMS)
async def put_group(
    record_id: RecordId, record: Annotated[GroupBody, Body()], service: Service, expected: Expected
) -> RecordAccepted:
    """Submit a group with all its members. Taking a member out revokes at once, whatever the documents."""
    return await _put(service, DirectoryKind.GROUP, record_id, record, expected)


@router.put("/knowledge-bases/{record_id}", status_code=202, summary="Put a knowledge base", responses=WRITE_PROBLEMS)
async def put_knowledge_base(
    record_id: RecordId, record: Annotated[KnowledgeBaseBody, Body()], service: Service, expected: Expected
) -> RecordAccepted:
    """Submit a knowledge base."""
    return await _put(service, DirectoryKind.KNOWLEDGE_BASE, record_id, record, expected)


@router.put("/sources/{record_id}", status_code=202, summary="Put a source", responses=WRITE_PROBLEMS)
async def put_source(
    record_id: RecordId, record: Annotated[SourceBody, Body()], service: Service, expected: Expected
) -> RecordAccepted:
    """Submit a source; its knowledge base must exist."""
    return await _put(service, DirectoryKind.SOURCE, record_id, record, expected)


@router.put(
    "/retrieval-profiles/{record_id}", status_code=202, summary="Put a retrieval profile", responses=WRITE_PROBLEMS
)
async def put_retrieval_profile(
    record_id: RecordId, record: Annotated[RetrievalProfileBody, Body()], service: Service, expected: Expected
) -> RecordAccepted:
    """Submit a retrieval profile."""
    return await _put(service, DirectoryKind.RETRIEVAL_PROFILE, record_id, record, expected)


async def _put(
    service: DirectoryService, kind: DirectoryKind, record_id: str, record: RecordBody, expected: Revision | None
) -> RecordAccepted:
    positions: Positions = await service.put(kind, record_id, record.record(), expected=expected)
    return RecordAccepted(kind=kind.value, id=record_id, token=token_of(positions))
