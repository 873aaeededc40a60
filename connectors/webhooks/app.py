"""The ASGI app: reads a body within its limits, asks the receiver, and answers in milliseconds."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.webhooks.receiver import Receiver, RefusedDeliveryError, Taken, UnavailableError
from headwater.errors import PoisonError
from headwater.settings import WebhookSettings
from headwater.telemetry.metrics import WEBHOOK_DELIVERIES
from schemas.ids import SourceId, TenantId

RETRY_AFTER_S: Final = 5


class _TooLargeError(Exception):
    """A body above the limit."""


def create_app(receiver: Receiver, settings: WebhookSettings) -> Starlette:
    """Return the app: `POST /hooks/{tenant}/{source}`, and nothing else."""
    hooks = _Hooks(receiver=receiver, settings=settings)
    return Starlette(routes=[Route("/hooks/{tenant}/{source}", hooks.receive, methods=["POST"])])


@dataclass(slots=True, kw_only=True)
class _Hooks:
    receiver: Receiver
    settings: WebhookSettings
    in_hand: int = 0  # bodies in memory: at most `parallel`, each within its limit

    async def receive(self, request: Request) -> Response:
        """Answer one delivery."""
        if self.in_hand >= self.settings.parallel:
            return _unavailable("too many deliveries at once")
        self.in_hand += 1
        try:
            return await self._answer(request)
        finally:
            self.in_hand -= 1

    async def _answer(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(self.settings.read_timeout_s):
                body = await _body(request, self.settings.max_body_bytes)
        except _TooLargeError:
            detail = f"body: more than {self.settings.max_body_bytes} bytes"
            return _problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail)
        except (TimeoutError, ClientDisconnect):
            detail = f"body: not complete within {self.settings.read_timeout_s:g} s"
            return _problem(HTTPStatus.REQUEST_TIMEOUT, "incomplete", detail)
        key = (TenantId(request.path_params["tenant"]), SourceId(request.path_params["source"]))
        try:
            taken = await self.receiver.receive(key, request.headers, body)
        except RefusedDeliveryError as error:
            return _problem(HTTPStatus.UNAUTHORIZED, "refused", str(error))
        except PoisonError as error:
            return _problem(HTTPStatus.BAD_REQUEST, "unreadable", str(error))
        except UnavailableError as error:
            return _unavailable(str(error))
        return _accepted(taken)


async def _body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _TooLargeError
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise _TooLargeError
    return bytes(body)


def _accepted(taken: Taken) -> Response:
    WEBHOOK_DELIVERIES.labels(taken.value).inc()
    return JSONResponse({"status": taken.value}, HTTPStatus.ACCEPTED)


def _problem(status: HTTPStatus, outcome: str, detail: str) -> Response:
    WEBHOOK_DELIVERIES.labels(outcome).inc()
    body = {"title": status.phrase, "status": status.value, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


def _unavailable(detail: str) -> Response:
    response = _problem(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", detail)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
