"""What goes wrong, as problem documents (RFC 9457): a code for programs, the field and the remedy for people."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Final

from fastapi import Response
from pydantic import BaseModel, Field

from headwater.errors import HeadwaterError

MEDIA_TYPE = "application/problem+json"
REQUEST_ID_HEADER: Final = "Headwater-Request-Id"
AS_OF_HEADER: Final = "Headwater-As-Of"


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
        return problem_document(
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
        example = problem_document(error.status, error.code, title=error.title, detail="...", remedy=error.remedy)
        examples = entry["content"][MEDIA_TYPE]["examples"]
        examples[error.code] = {"summary": error.title, "value": example.model_dump(mode="json", exclude_defaults=True)}
        entry["description"] = "; ".join(shown["summary"] for shown in examples.values())
    return declared


def problem_response(error: ApiError, problem: Problem | None = None) -> Response:
    """Render an error; `problem` is its own document with members added (RFC 9457, 3.2)."""
    return rendered(problem or error.problem(), headers=error.headers)


def stamps(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that every response carries."""
    return {REQUEST_ID_HEADER: state["request_id"], AS_OF_HEADER: state["as_of"].isoformat()}


def problem_document(
    status: HTTPStatus,
    code: str,
    *,
    title: str,
    detail: str,
    remedy: str,
    field: str | None = None,
    errors: tuple[FieldProblem, ...] = (),
) -> Problem:
    """Return the document of an error that has no class of its own here."""
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


def rendered(problem: Problem, *, headers: dict[str, str] | None = None) -> Response:
    """Return the response that sends a document."""
    body = problem.model_dump_json(exclude_none=True)
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)
