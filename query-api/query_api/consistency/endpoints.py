"""GET /v1/consistency: do the stores agree with the log?"""

from typing import Annotated

from fastapi import APIRouter, Query

from query_api.authorization import Action, Resource, authorize
from query_api.consistency.schemas import Consistency
from query_api.dependencies import Caller, RuntimeDep
from query_api.problems import NotFoundError, problems
from schemas.ids import GenerationName

router = APIRouter(prefix="/consistency", tags=["consistency"])


@router.get("", summary="Show the last comparison of the stores with the log", responses=problems(NotFoundError))
async def show_consistency(
    runtime: RuntimeDep,
    caller: Caller,
    generation: Annotated[
        GenerationName | None, Query(pattern=r"^[a-z0-9_]{1,32}$", description="The serving one by default.")
    ] = None,
) -> Consistency:
    """Show what the last pass found about the tenant's documents. For administrators."""
    authorize(caller, Action.READ_CONSISTENCY, Resource(tenant_id=caller.tenant_id, kind="consistency"))
    asked = generation or runtime.directory.serving_generation() or runtime.settings.generation
    report = await runtime.consistency.newest(caller.tenant_id, generation=asked)
    if report is None:
        raise NotFoundError(f"consistency: no pass over {asked} has ended yet; run `headwater verify`")
    return Consistency.of(report)
