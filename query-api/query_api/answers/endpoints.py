"""POST /v1/query."""

from fastapi import APIRouter, BackgroundTasks
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from query_api.answers.schemas import AnswerResponse, QuestionRequest
from query_api.answers.service import AnswerService
from query_api.answers.streaming import AnswerStream
from query_api.authorization import Action, Resource, authorize
from query_api.dependencies import Caller, FreshnessDep, RuntimeDep
from query_api.problems import DependencyUnavailableError, problems
from query_api.retrieval.recording import record_query

router = APIRouter(tags=["answers"])


@router.post(
    "/query",
    summary="Answer a question",
    response_model=AnswerResponse,
    responses=problems(DependencyUnavailableError),
)
async def answer_question(
    request: QuestionRequest, runtime: RuntimeDep, caller: Caller, fresh: FreshnessDep, later: BackgroundTasks
) -> AnswerResponse | Response:
    """Answer from what the caller may read, with the passages relied on, their revisions and any degradation.

    `answer` is null where the passages do not answer the question. With `stream: true` the response is a stream of
    server-sent events: `delta` with pieces of the text, then `answer` with the whole response, or `error`.
    """
    authorize(caller, Action.SEARCH, Resource(tenant_id=caller.tenant_id, kind="queries"))
    as_of = await fresh.wait(request.after)
    if request.stream:
        stream = AnswerStream(runtime=runtime, request=request, caller=caller, as_of=as_of)
        later.add_task(stream.record)
        return StreamingResponse(stream.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    answered = await AnswerService(runtime).answer(request, caller=caller, as_of=as_of)
    later.add_task(record_query, runtime.events, answered.event)
    return answered.response
