"""POST /v1/feedback."""

from http import HTTPStatus

from fastapi import APIRouter

from query_api.authorization import Action, Resource, authorize
from query_api.dependencies import Caller, RuntimeDep
from query_api.feedback.schemas import FeedbackAccepted, FeedbackRequest
from query_api.feedback.service import FeedbackService
from query_api.problems import DependencyUnavailableError, NotFoundError, problems

router = APIRouter(tags=["feedback"])


@router.post(
    "/feedback",
    summary="Rate an answer",
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(NotFoundError, DependencyUnavailableError),
)
async def give_feedback(request: FeedbackRequest, runtime: RuntimeDep, caller: Caller) -> FeedbackAccepted:
    """Say how good an answer was. Only the caller who asked may; a low rating asks for a review."""
    authorize(caller, Action.GIVE_FEEDBACK, Resource(tenant_id=caller.tenant_id, kind="queries", id=request.query_id))
    return await FeedbackService(runtime).give(request, caller=caller)
