"""What goes wrong, as problem documents (RFC 9457): a code for programs, the field and the remedy for people."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from headwater.clients.kafka.errors import RecordRefusedError
from headwater.errors import HeadwaterError, PoisonError, RetryableError

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
REQUEST_ID_HEADER: Final = "Headwater-Request-Id"
AS_OF_HEADER: Final = "Headwater-As-Of"
MAX_REPORTED_FIELDS = 20


class FieldProblem(BaseModel, frozen=True):
    """One field that is wrong."""

    field: str
    message: str


class Problem(BaseModel, frozen=True):
    """A problem document (RFC 9457). `code` is stable and for programs; `detail` and `remedy` are for people."""

    type: str = Field(examples=["urn:headwater:problem:not_found"])
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None
    remedy: str
    errors: tuple[FieldProblem, ...] = ()


class ApiError(HeadwaterError):
    """Base of what an endpoint may answer instead of its result. Subclasses say how; instances say what of."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    title: ClassVar[str]
    remedy: ClassVar[str]
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, detail: str, *, field: str | None = None, remedy: str | None = None) -> None:
        super().__init__(detail)
        self.detail, self.field, self._remedy = detail, field, remedy

    def problem(self) -> Problem:
        """Return the document that is sent."""
        return _problem(
            self.status,
            self.code,
            title=self.title,
            detail=self.detail,
            field=self.field,
            remedy=self._remedy or self.remedy,
        )


class InvalidRequestError(ApiError):
    status, code, title = HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "The request is not valid"
    remedy = "Correct the field and send the request again; /docs describes each field."


class MalformedBodyError(ApiError):
    status, code, title = HTTPStatus.BAD_REQUEST, "malformed_body", "The body cannot be read"
    remedy = "Send well-formed JSON, NDJSON or multipart, and declare it in Content-Type."


class UnsupportedBodyError(ApiError):
    status, code, title = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_body", "The body has another Content-Type"
    remedy = "Set Content-Type to one that /docs lists for this path."


class UnauthenticatedError(ApiError):
    status, code, title = HTTPStatus.UNAUTHORIZED, "unauthenticated", "No valid API key"
    remedy = "Send `Authorization: Bearer hw_...` with a key that has not expired; an administrator can make one."
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer realm="headwater"'}


class ForbiddenError(ApiError):
    status, code, title = HTTPStatus.FORBIDDEN, "forbidden", "The key does not allow this"
    remedy = "Use a key with the scope named in `detail`."


class NotFoundError(ApiError):
    status, code, title = HTTPStatus.NOT_FOUND, "not_found", "Not found, or not for this caller"
    remedy = "Check the id and that the caller may read it; what is hidden and what is missing look the same."


class RevisionMismatchError(ApiError):
    status, code, title = HTTPStatus.PRECONDITION_FAILED, "revision_mismatch", "The revision is another one"
    remedy = "Read the current revision, apply the change to it and send it with that revision in If-Match."


class ConflictError(ApiError):
    status, code, title = HTTPStatus.CONFLICT, "conflict", "Not possible in the present state"
    remedy = "Resolve what `detail` names first."


class SourcePausedError(ApiError):
    status, code, title = HTTPStatus.CONFLICT, "source_paused", "The source is paused"
    remedy = (
        "Let an administrator resume it (PUT /v1/directory/sources/{id} with `paused: false`), then send this again."
    )


class ContentTooLargeError(ApiError):
    status, code, title = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "content_too_large", "The body is too large"
    remedy = "Send less at once; /docs states the limit of each path."


class HeadersTooLargeError(ApiError):
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    code, title = "headers_too_large", "The request's headers are too large"
    remedy = "Send fewer or shorter headers."


class RequestTimeoutError(ApiError):
    status, code, title = HTTPStatus.GATEWAY_TIMEOUT, "timeout", "Not finished in time"
    remedy = "Try again later; a write that was accepted is not lost, and repeating it is harmless."
    headers: ClassVar[dict[str, str]] = {"Retry-After": "2"}


class StaleReplicaError(ApiError):
    status, code, title = HTTPStatus.SERVICE_UNAVAILABLE, "stale_replica", "This replica is behind the log"
    remedy = "Try again shortly: a replica that is not current refuses rather than show what was revoked."
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


class NotAppliedYetError(ApiError):
    status, code, title = HTTPStatus.SERVICE_UNAVAILABLE, "not_applied_yet", "The write is not applied here yet"
    remedy = "Send the same request again with the same token."
    headers: ClassVar[dict[str, str]] = {"Retry-After": "1"}


class DependencyUnavailableError(ApiError):
    status, code, title = HTTPStatus.SERVICE_UNAVAILABLE, "dependency_unavailable", "A dependency is away"
    remedy = "Try again shortly; /readyz on the management port names the dependency."
    headers: ClassVar[dict[str, str]] = {"Retry-After": "2"}


class InternalError(ApiError):
    status, code, title = HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "A fault of ours"
    remedy = "Report the Headwater-Request-Id header; the log has the rest."


# Every endpoint may answer these; an endpoint declares the others itself.
COMMON: Final[tuple[type[ApiError], ...]] = (
    ContentTooLargeError,
    DependencyUnavailableError,
    ForbiddenError,
    HeadersTooLargeError,
    InternalError,
    InvalidRequestError,
    NotAppliedYetError,
    RequestTimeoutError,
    StaleReplicaError,
    UnauthenticatedError,
)


def problems(*errors: type[ApiError], document: type[Problem] = Problem) -> dict[int | str, dict[str, Any]]:
    """Declare an endpoint's errors: `@router.get(..., responses=problems(NotFoundError))`.

    A declaration replaces the router's for the same status, so those of `COMMON` with that status are listed again.
    `document` is the model that is sent where an endpoint adds members to a problem.
    """
    schema = {"$ref": f"#/components/schemas/{document.__name__}"}
    statuses = {error.status for error in errors}
    declared: dict[int | str, dict[str, Any]] = {}
    for error in dict.fromkeys((*errors, *(common for common in COMMON if common.status in statuses))):
        entry = declared.setdefault(
            int(error.status),
            {"content": {MEDIA_TYPE: {"schema": schema, "examples": {}}}},
        )
        example = _problem(error.status, error.code, title=error.title, detail="...", remedy=error.remedy)
        examples = entry["content"][MEDIA_TYPE]["examples"]
        examples[error.code] = {"summary": error.title, "value": example.model_dump(mode="json", exclude_defaults=True)}
        entry["description"] = "; ".join(shown["summary"] for shown in examples.values())
    return declared


def problem_response(error: ApiError, problem: Problem | None = None) -> Response:
    """Render an error; `problem` is its own document with members added (RFC 9457, 3.2)."""
    return _response(problem or error.problem(), headers=error.headers)


def stamps(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that every response carries."""
    return {REQUEST_ID_HEADER: state["request_id"], AS_OF_HEADER: state["as_of"].isoformat()}


def register_problems(app: FastAPI) -> None:
    """Answer every error of this application with a problem document, never with a stack trace."""
    app.add_exception_handler(ApiError, _on_api_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(HeadwaterError, _on_headwater_error)
    app.add_exception_handler(Exception, _on_bug)


def _problem(
    status: HTTPStatus,
    code: str,
    *,
    title: str,
    detail: str,
    remedy: str,
    field: str | None = None,
    errors: tuple[FieldProblem, ...] = (),
) -> Problem:
    return Problem(
        type=f"urn:headwater:problem:{code}",
        title=title,
        status=status,
        code=code,
        detail=detail,
        field=field,
        remedy=remedy,
        errors=errors,
    )


def _response(problem: Problem, *, headers: dict[str, str] | None = None) -> Response:
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


async def _on_api_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ApiError):
        raise error
    return problem_response(error)


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    if isinstance(error.body, bytes) and error.body:  # not read as JSON, for nothing said that it is
        return problem_response(UnsupportedBodyError("Content-Type: send application/json", field="Content-Type"))
    return _response(validation_problem(error.errors(), error.body))


def validation_problem(errors: Iterable[Any], sent: object = None) -> Problem:
    """Turn pydantic's errors into a problem. What was sent is never quoted: it may be a secret."""
    found = tuple(
        FieldProblem(
            field="body" if error["type"] == "json_invalid" else field_name(place_of(error, sent)), message=error["msg"]
        )
        for error, _ in zip(errors, range(MAX_REPORTED_FIELDS), strict=False)
    )
    first = found[0]
    return _problem(
        InvalidRequestError.status,
        InvalidRequestError.code,
        title=InvalidRequestError.title,
        detail=f"{first.field}: {first.message}",
        field=first.field,
        remedy=InvalidRequestError.remedy,
        errors=found,
    )


_BESIDE_THE_BODY: Final = frozenset({"path", "query", "header", "cookie"})


def place_of(error: Mapping[str, Any], sent: object) -> tuple[str | int, ...]:
    """Return where in what was sent an error is; pydantic's own words for alternatives that it tried are left out."""
    location: tuple[str | int, ...] = tuple(error["loc"])
    if not isinstance(sent, Mapping | list) or location[0] in _BESIDE_THE_BODY:
        return location
    kept: list[str | int] = []
    node: Any = sent
    for last, part in enumerate(location, start=1 - len(location)):
        if _holds(node, part):
            kept.append(part)
            node = node[part]
        elif (part == "body" and not kept) or part == "[key]" or (last == 0 and error["type"] == "missing"):
            kept.append(part)
    return tuple(kept)


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, list):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, Mapping) and part in node


def field_name(location: Iterable[str | int]) -> str:
    """Write pydantic's location as `access.clauses[0].principals`; where a value came from is left out."""
    name = ""
    parts = list(location)
    for part in parts[1:] if len(parts) > 1 and parts[0] in {"body", "query", "path", "header"} else parts:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else str(part)
    return name


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
        return _response(known(str(error.detail)).problem(), headers=dict(error.headers or {}))
    status = HTTPStatus(error.status_code)
    problem = _problem(
        status,
        status.phrase.lower().replace(" ", "_"),
        title=status.phrase,
        detail=str(error.detail),
        remedy="See /docs for the paths and methods there are.",
    )
    return _response(problem, headers=dict(error.headers or {}))


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
