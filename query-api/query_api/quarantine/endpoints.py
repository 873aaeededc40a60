"""/v1/directory/sources/{id}/deletions: what waits of what a source wanted to delete, and letting it through."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from query_api.dependencies import OriginDep, RuntimeDep
from query_api.problems import NotFoundError, problems
from query_api.quarantine.schemas import ApprovalAccepted, ApprovalBody, WaitingDeletions
from query_api.quarantine.service import QuarantineService

router = APIRouter(tags=["directory"])
SourceName = Annotated[str, Path(max_length=128)]
OF_SOURCE = "/directory/sources/{source}/deletions"


async def quarantine_service(runtime: RuntimeDep, origin: OriginDep) -> QuarantineService:
    """Bind waiting deletions to this request's caller."""
    return QuarantineService.of(runtime, origin)


Service = Annotated[QuarantineService, Depends(quarantine_service)]


@router.get(OF_SOURCE, summary="Show a source's waiting deletions", responses=problems(NotFoundError))
async def show_waiting(source: SourceName, service: Service) -> WaitingDeletions:
    """Show how many deletions wait, since when and why. Their documents are there meanwhile. For administrators."""
    return await service.show(source)


@router.post(
    f"{OF_SOURCE}/approve", status_code=202, summary="Approve waiting deletions", responses=problems(NotFoundError)
)
async def approve_waiting(source: SourceName, body: ApprovalBody, service: Service) -> ApprovalAccepted:
    """Let deletions through, the longest waiting first; what was submitted again meanwhile stays."""
    return await service.approve(source, body)
