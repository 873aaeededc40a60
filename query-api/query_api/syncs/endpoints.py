"""/v1/directory/sources/{id}/sync: ask for a sync, cancel it, see how it stands; …/test: try it; /v1/syncs: of all."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from query_api.dependencies import OriginDep, RuntimeDep
from query_api.problems import ConflictError, NotFoundError, SourcePausedError, problems
from query_api.syncs.schemas import SyncAccepted, SyncBody, SyncList, SyncView, TrialAccepted, TrialView
from query_api.syncs.service import SyncService

router = APIRouter(tags=["directory"])
SourceName = Annotated[str, Path(max_length=128)]
OF_SOURCE = "/directory/sources/{source}/sync"
TEST_OF_SOURCE = "/directory/sources/{source}/test"


async def sync_service(runtime: RuntimeDep, origin: OriginDep) -> SyncService:
    """Bind syncs to this request's caller."""
    return SyncService.of(runtime, origin)


Service = Annotated[SyncService, Depends(sync_service)]


@router.get("/syncs", summary="Show the newest sync of each source")
async def list_syncs(service: Service) -> SyncList:
    """Show how the newest sync of each source stands or ended. For administrators."""
    return SyncList(syncs=[SyncView.of(event) for event in await service.all()])


@router.get(OF_SOURCE, summary="Show a source's newest sync", responses=problems(NotFoundError))
async def show_sync(source: SourceName, service: Service) -> SyncView:
    """Show how far it is, what is left, and how it ended. For administrators."""
    return SyncView.of(await service.show(source))


@router.post(
    OF_SOURCE,
    status_code=202,
    summary="Ask for a sync",
    responses=problems(NotFoundError, ConflictError, SourcePausedError),
)
async def request_sync(source: SourceName, body: SyncBody, service: Service) -> SyncAccepted:
    """Append a request. Requests of one source that wait are one run of the widest of them. For administrators."""
    await service.request(source, body.mode, body.items)
    return SyncAccepted(source=source, mode=body.mode)


@router.delete(OF_SOURCE, status_code=202, summary="Cancel a source's syncs", responses=problems(NotFoundError))
async def cancel_sync(source: SourceName, service: Service) -> SyncAccepted:
    """Stop what runs and drop what waits. What was submitted stays; the next sync goes on from there."""
    await service.cancel(source)
    return SyncAccepted(source=source, mode=None)


@router.post(TEST_OF_SOURCE, status_code=202, summary="Test a source", responses=problems(NotFoundError, ConflictError))
async def request_test(source: SourceName, service: Service) -> TrialAccepted:
    """Ask a connector worker to check settings, credentials and rights. Nothing is read; paused sources too."""
    return TrialAccepted(source=source, test_id=await service.request_test(source))


@router.get(TEST_OF_SOURCE, summary="Show a source's newest test", responses=problems(NotFoundError))
async def show_test(source: SourceName, service: Service) -> TrialView:
    """Show what the newest test that has ended found missing. For administrators."""
    return TrialView.of(await service.show_test(source))
