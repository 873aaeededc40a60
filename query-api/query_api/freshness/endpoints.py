"""GET /v1/freshness, and where the canary reports its rounds."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from query_api.authorization import Action, Resource, authorize
from query_api.dependencies import Caller, RuntimeDep
from query_api.freshness.schemas import FreshnessReport, RoundAccepted, RoundReport
from query_api.freshness.service import FreshnessService
from query_api.problems import DependencyUnavailableError, problems

MAX_WINDOW_S = 28 * 24 * 3600  # as long as the facts are kept in the log
router = APIRouter(prefix="/freshness", tags=["freshness"])


@router.get("", summary="Read how fresh the platform is", responses=problems(DependencyUnavailableError))
async def get_freshness(
    runtime: RuntimeDep,
    caller: Caller,
    window_s: Annotated[
        int | None, Query(ge=60, le=MAX_WINDOW_S, description="Left out: HEADWATER_FRESHNESS__WINDOW_S.")
    ] = None,
) -> FreshnessReport:
    """Read percentiles per stage and end to end, the objectives and whether they are met, and what waits.

    For administrators: their own tenant's documents; with scope `system` those of all tenants and the stages' backlog.
    """
    authorize(caller, Action.READ_FRESHNESS, Resource(tenant_id=caller.tenant_id, kind="freshness"))
    return await FreshnessService(runtime, caller).report(window_s=window_s or runtime.settings.freshness.window_s)


@router.post(
    "/rounds",
    status_code=HTTPStatus.ACCEPTED,
    summary="Report a round of the canary",
    responses=problems(DependencyUnavailableError),
)
async def post_round(report: RoundReport, runtime: RuntimeDep, caller: Caller) -> RoundAccepted:
    """Append what the canary saw in one round to the log. For the canary's own tenant only."""
    authorize(caller, Action.REPORT_ROUNDS, Resource(tenant_id=caller.tenant_id, kind="freshness"))
    await FreshnessService(runtime, caller).take(report)
    return RoundAccepted(round_id=report.round_id)
