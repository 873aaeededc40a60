"""GET /v1/parked: the tenant's dead letters."""

from typing import Annotated

from fastapi import APIRouter, Query

from query_api.authorization import Action, Resource, authorize
from query_api.dependencies import Caller, RuntimeDep
from query_api.parked.schemas import ParkedLetter, ParkedList
from schemas.ids import DocumentId

router = APIRouter(prefix="/parked", tags=["parked"])


@router.get("", summary="List dead letters")
async def list_parked(
    runtime: RuntimeDep,
    caller: Caller,
    document_id: Annotated[DocumentId | None, Query(pattern=r"^[0-9a-f]{32}$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=4_000)] = None,
) -> ParkedList:
    """List what could not be processed, and why, newest first. For administrators."""
    authorize(caller, Action.READ_PARKED, Resource(tenant_id=caller.tenant_id, kind="parked"))
    page = await runtime.documents.list_parked(caller.tenant_id, document=document_id, limit=limit, cursor=cursor)
    return ParkedList(letters=[ParkedLetter.of(letter) for letter in page.letters], cursor=page.cursor)
