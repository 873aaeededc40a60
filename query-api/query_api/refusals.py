"""Where a refusal becomes an answer, and where the audit trail gets it: first, so that no attempt goes unseen."""

import asyncio
from typing import Final, cast
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request, Response

from headwater.errors import RetryableError
from headwater.telemetry.metrics import AUDIT_EVENTS_LOST
from query_api.authorization import RefusedError
from query_api.problems import problem_response
from query_api.runtime import Runtime
from schemas.events import AuditRecorded

log = structlog.get_logger(__name__)
# A broker confirms in milliseconds. Past this the caller gets their refusal, and the loss is counted.
RECORDED_WITHIN_S: Final = 2.0


def register_refusals(app: FastAPI) -> None:
    """Answer every RefusedError with its problem, after the audit trail has it."""
    app.add_exception_handler(RefusedError, _on_refused)


async def _on_refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    runtime = cast(Runtime, request.app.state.runtime)
    await _record(runtime, error, client_address=request.client.host if request.client else None)
    return problem_response(error)


async def _record(runtime: Runtime, refused: RefusedError, *, client_address: str | None) -> None:
    """Append the audit record; a log that is away turns no refusal into anything else."""
    now = runtime.now()
    audit = AuditRecorded(
        event_id=uuid4(),
        tenant_id=refused.caller.tenant_id,
        occurred_at=now,
        observed_at=now,
        actor=refused.caller.principal,
        action=refused.action.value,
        resource=str(refused.resource),
        outcome="refused",
        reason=refused.detail,
        client_address=client_address,
    )
    try:
        async with asyncio.timeout(RECORDED_WITHIN_S):
            await runtime.events.send(audit)
    except (RetryableError, TimeoutError) as error:
        AUDIT_EVENTS_LOST.inc()
        log.warning("refusal_not_recorded", error=type(error).__name__)
