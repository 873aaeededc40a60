"""The application: one router a resource, all under /v1."""

from importlib.metadata import version

from fastapi import APIRouter, FastAPI

from query_api.documents import endpoints as documents
from query_api.documents.schemas import DocumentPut, Metadata
from query_api.limits import add_limits
from query_api.openapi import DESCRIPTION, install_openapi
from query_api.problems import (
    ContentTooLargeError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    NotAppliedYetError,
    RequestTimeoutError,
    StaleReplicaError,
    UnauthenticatedError,
    problems,
    register_problems,
)
from query_api.runtime import Runtime

# Every endpoint may answer these; an endpoint declares the others itself.
COMMON_PROBLEMS = problems(
    ContentTooLargeError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    NotAppliedYetError,
    RequestTimeoutError,
    StaleReplicaError,
    UnauthenticatedError,
)


def create_app(runtime: Runtime) -> FastAPI:
    """Build the application on an open runtime. Nothing is opened, read or started here."""
    app = FastAPI(
        title="Headwater",
        version=version("headwater"),
        description=DESCRIPTION,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours knows the allowlist of attributes
    )
    app.state.runtime = runtime
    register_problems(app)
    add_limits(app, runtime)
    app.include_router(_v1())
    install_openapi(app, DocumentPut, Metadata)
    return app


def _v1() -> APIRouter:
    router = APIRouter(prefix="/v1", responses=COMMON_PROBLEMS)
    for resource in (documents,):
        router.include_router(resource.router)
    return router
