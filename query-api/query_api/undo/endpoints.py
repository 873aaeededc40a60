"""/v1/directory/sources/{id}/undo: what a bad sync removed is brought back from the log."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from query_api.dependencies import OriginDep, RuntimeDep
from query_api.problems import ConflictError, NotFoundError, RequestTimeoutError, problems
from query_api.undo.schemas import UndoBody, UndoReport
from query_api.undo.service import UndoService

router = APIRouter(tags=["directory"])
SourceName = Annotated[str, Path(max_length=128)]


async def undo_service(runtime: RuntimeDep, origin: OriginDep) -> UndoService:
    """Bind undoing to this request's caller."""
    return UndoService.of(runtime, origin)


@router.post(
    "/directory/sources/{source}/undo",
    status_code=202,
    summary="Undo a source's deletions",
    responses=problems(NotFoundError, ConflictError, RequestTimeoutError),
)
async def undo_deletions(
    source: SourceName, body: UndoBody, service: Annotated[UndoService, Depends(undo_service)]
) -> UndoReport:
    """Submit again what the source deleted since then, and drop its deletions that wait. For administrators.

    A page at a time, as far as a request's time goes: pass `cursor` on until there is none.
    """
    return await service.undo(source, body)
