"""POST /v1/search."""

from fastapi import APIRouter, BackgroundTasks

from query_api.authorization import Action, Resource, authorize
from query_api.dependencies import Caller, FreshnessDep, RuntimeDep
from query_api.problems import DependencyUnavailableError, problems
from query_api.retrieval.recording import record_query
from query_api.search.schemas import SearchRequest, SearchResponse
from query_api.search.service import SearchService
from schemas.events.directory import DirectoryKind
from schemas.ids import SYSTEM_TENANT

router = APIRouter(tags=["search"])


@router.post("/search", summary="Find passages", responses=problems(DependencyUnavailableError))
async def search_passages(
    request: SearchRequest, runtime: RuntimeDep, caller: Caller, fresh: FreshnessDep, later: BackgroundTasks
) -> SearchResponse:
    """Return the passages that answer best to the query, of those that the caller may read now.

    By words and by meaning side by side, unless `mode` names one. Where a store is away the other answers alone and
    `meta.degraded` says so.
    """
    authorize(caller, Action.SEARCH, Resource(tenant_id=caller.tenant_id, kind="queries"))
    if request.generation is not None:
        authorize(
            caller,
            Action.MANAGE_TENANTS,
            Resource(tenant_id=SYSTEM_TENANT, kind=DirectoryKind.GENERATION.value, id=request.generation),
        )
    as_of = await fresh.wait(request.after)
    response, event = await SearchService(runtime).search(request, caller=caller, as_of=as_of)
    if request.recorded:
        later.add_task(record_query, runtime.events, event)
    return response
