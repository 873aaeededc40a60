"""Every error of the application as a problem document, never as a stack trace."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from headwater.clients.kafka.errors import RecordRefusedError
from headwater.errors import HeadwaterError, PoisonError, RetryableError
from query_api.field_names import field_name, place_of
from query_api.problems import (
    ApiError,
    ContentTooLargeError,
    DependencyUnavailableError,
    FieldProblem,
    HeadersTooLargeError,
    InternalError,
    InvalidRequestError,
    MalformedBodyError,
    NotFoundError,
    Problem,
    UnsupportedBodyError,
    problem_document,
    problem_response,
    rendered,
    stamps,
)

log = structlog.get_logger(__name__)
MAX_REPORTED_FIELDS = 20


def register_problems(app: FastAPI) -> None:
    """Answer every error of this application with a problem document, never with a stack trace."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(HeadwaterError, _on_headwater_error)
    app.add_exception_handler(Exception, _on_bug)


async def _on_api_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return problem_response(error)


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    if isinstance(error.body, bytes) and error.body:  # not read as JSON, for nothing said that it is
        return problem_response(UnsupportedBodyError("Content-Type: send application/json", field="Content-Type"))
    return rendered(validation_problem(error.errors(), error.body))


def validation_problem(errors: Iterable[Any], sent: object = None) -> Problem:
    """Turn pydantic's errors into a problem. What was sent is never quoted: it may be a secret."""
    found = tuple(
        FieldProblem(
            field="body" if error["type"] == "json_invalid" else field_name(place_of(error, sent)), message=error["msg"]
        )
        for error, _ in zip(errors, range(MAX_REPORTED_FIELDS), strict=False)
    )
    first = found[0]
    refused = InvalidRequestError(f"{first.field}: {first.message}", field=first.field)
    return refused.problem().model_copy(update={"errors": found})


_BY_STATUS: dict[int, type[ApiError]] = {
    error.status: error
    for error in (MalformedBodyError, NotFoundError, UnsupportedBodyError, ContentTooLargeError, HeadersTooLargeError)
}


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    """Answer what the framework itself raises: an unknown path, a wrong method, a body that is no JSON."""
    if not isinstance(error, HTTPException):
        raise error
    known = _BY_STATUS.get(error.status_code)
    if known:
        return rendered(known(str(error.detail)).problem(), headers=dict(error.headers or {}))
    status = HTTPStatus(error.status_code)
    problem = problem_document(
        status,
        status.phrase.lower().replace(" ", "_"),
        title=status.phrase,
        detail=str(error.detail),
        remedy="See /docs for the paths and methods there are.",
    )
    return rendered(problem, headers=dict(error.headers or {}))


async def _on_headwater_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HeadwaterError):
        raise error
    if not isinstance(error, PoisonError):
        log.warning("dependency_failed", exc_info=error)
    return problem_response(as_api_error(error))


def as_api_error(error: HeadwaterError) -> ApiError:
    """Translate what a port raised. Texts of these errors are ours: they name a field, never content or a secret."""
    match error:
        case ApiError():
            return error
        case RetryableError():
            return DependencyUnavailableError(str(error))
        case RecordRefusedError():
            return ContentTooLargeError(
                "body: what it says beside the content is more than the log takes in one record",
                field="body",
                remedy="Send fewer or shorter links, principals and attributes; text belongs into the content.",
            )
        case PoisonError():
            field, separator, _ = str(error).partition(":")
            return InvalidRequestError(str(error), field=field if separator else None)
        case _:  # a setting is wrong: its name is for the operator, not for callers
            return DependencyUnavailableError("a dependency is not set up; see the server's log")


async def _on_bug(request: Request, error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    response = problem_response(InternalError("the request could not be processed"))
    response.headers.update(stamps(request.scope["state"]))  # sent from around the envelope, which stamps all others
    return response
