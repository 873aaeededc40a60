"""What a request may cost before it is looked at: headers, body and time; and what every response carries."""

import asyncio
import secrets
from typing import Final

import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headwater.settings import Settings
from headwater.telemetry.tracing import span
from query_api.failures import FailureRecorder
from query_api.problems import HeadersTooLargeError, RequestTimeoutError, problem_response, stamps
from query_api.runtime import Runtime

MAX_HEADER_BYTES: Final = 32 * 1024
MULTIPART_OVERHEAD_BYTES: Final = 2 * 1024 * 1024  # the metadata part and the framing, beside the content itself


def add_limits(app: FastAPI, runtime: Runtime) -> None:
    """Wrap the application; what is added last runs first."""
    app.add_middleware(BodyLimit, settings=runtime.settings)
    app.add_middleware(RequestDeadline, seconds=runtime.settings.api.request_timeout_s)
    app.add_middleware(FailureRecorder, runtime=runtime)
    app.add_middleware(RequestEnvelope, runtime=runtime)


class RequestEnvelope:
    """Names each request, traces it, and stamps `Headwater-As-Of` with what was certain before anything was read."""

    def __init__(self, app: ASGIApp, *, runtime: Runtime) -> None:
        self._app, self._runtime = app, runtime

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = secrets.token_hex(8)
        state["as_of"] = self._runtime.heads.as_of()

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(stamps(state))
                current.set_attribute("status", message["status"])
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(event_id=state["request_id"]),
            span("request", method=scope["method"]) as current,
        ):
            if _header_bytes(scope) > MAX_HEADER_BYTES:
                refusal = problem_response(HeadersTooLargeError(f"headers: more than {MAX_HEADER_BYTES} bytes"))
                await refusal(scope, receive, stamped)
                return
            await self._app(scope, receive, stamped)
            if "route" in scope:
                current.set_attribute("route", scope["route"].path)


class RequestDeadline:
    """Ends a request that neither receives nor answers for `seconds`. A stream that has begun has its own limits."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        loop = asyncio.get_running_loop()

        async def renewing() -> Message:
            message = await receive()
            if not started and message["type"] == "http.request":
                deadline.reschedule(loop.time() + self._seconds)  # an upload may take long, but not stand still
            return message

        async def starting(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                deadline.reschedule(None)
            await send(message)

        try:
            async with asyncio.timeout(self._seconds) as deadline:
                await self._app(scope, renewing, starting)
        except TimeoutError:
            if started or not deadline.expired():
                raise
            refusal = problem_response(RequestTimeoutError(f"no answer within {self._seconds:g} s"))
            await refusal(scope, receive, send)


class BodyLimit:
    """Refuses a body above its path's limit: by Content-Length at once, else when the limit is passed."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = _body_limit(scope, self._settings)
        declared = Headers(scope=scope).get("content-length", "")
        received = int(declared) if declared.isdecimal() and int(declared) > limit else 0

        async def counted() -> Message:
            nonlocal received
            if received <= limit:
                message = await receive()
                received += len(message.get("body", b""))
            if received > limit:  # an HTTPException: the framework turns others into "error parsing the body"
                raise HTTPException(413, f"body: more than {limit} bytes")
            return message

        await self._app(scope, counted, send)


def _body_limit(scope: Scope, settings: Settings) -> int:
    path, content_type = scope["path"], Headers(scope=scope).get("content-type", "")
    if path == "/v1/documents/batch":
        return settings.api.max_batch_bytes
    if path.startswith("/v1/documents/") and content_type.startswith("multipart/form-data"):
        return settings.blobs.max_content_bytes + MULTIPART_OVERHEAD_BYTES
    return settings.api.max_body_bytes


def _header_bytes(scope: Scope) -> int:
    return sum(len(name) + len(value) + 4 for name, value in scope["headers"])
