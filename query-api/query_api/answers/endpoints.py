"""POST /v1/query."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from fastapi import APIRouter, BackgroundTasks
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from headwater.errors import HeadwaterError
from query_api.answers.schemas import AnswerResponse, QuestionRequest
from query_api.answers.service import Answered, AnswerService
from query_api.answers.sse import server_sent_event
from query_api.authorization import Action, Resource, authorize
from query_api.dependencies import Caller, FreshnessDep, RuntimeDep
from query_api.identity import Identity
from query_api.problems import ApiError, DependencyUnavailableError, problems
from query_api.retrieval.recording import record_query
from query_api.runtime import Runtime

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
        pieces = _stream(runtime, request, caller, as_of)
        return StreamingResponse(pieces, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    answered = await AnswerService(runtime).answer(request, caller=caller, as_of=as_of)
    later.add_task(record_query, runtime.events, answered.event)
    return answered.response


async def _stream(runtime: Runtime, request: QuestionRequest, caller: Identity, as_of: datetime) -> AsyncIterator[str]:
    """Yield server-sent events. The status is long sent: an error can only be an event."""
    try:
        async with asyncio.timeout(runtime.settings.generator.request_timeout_s):
            async for piece in AnswerService(runtime).stream(request, caller=caller, as_of=as_of):
                if isinstance(piece, Answered):
                    yield server_sent_event("answer", piece.response.model_dump(mode="json"))
                    await record_query(runtime.events, piece.event)
                else:
                    yield server_sent_event("delta", {"text": piece})
    except ApiError as error:
        yield server_sent_event("error", error.problem().model_dump(mode="json", exclude_none=True))
    except (HeadwaterError, TimeoutError):
        problem = DependencyUnavailableError("the answer could not be finished").problem()
        yield server_sent_event("error", problem.model_dump(mode="json", exclude_none=True))
