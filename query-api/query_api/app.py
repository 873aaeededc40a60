"""The application: one router a resource, all under /v1."""

from functools import cache
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi_offline import FastAPIOffline

from query_api.answers import endpoints as answers
from query_api.consistency import endpoints as consistency
from query_api.dependencies import waited_as_of
from query_api.directory import endpoints as directory
from query_api.documents import endpoints as documents
from query_api.documents.schemas import BatchProblem, DocumentPut, Metadata
from query_api.error_handlers import register_problems
from query_api.explain import endpoints as explain
from query_api.feedback import endpoints as feedback
from query_api.freshness import endpoints as freshness
from query_api.keys import endpoints as keys
from query_api.limits import add_limits
from query_api.openapi import DESCRIPTION, install_openapi
from query_api.parked import endpoints as parked
from query_api.problems import COMMON, problems
from query_api.quarantine import endpoints as quarantine
from query_api.refusals import register_refusals
from query_api.runtime import Runtime
from query_api.search import endpoints as search
from query_api.syncs import endpoints as syncs
from query_api.undo import endpoints as undo


def create_app(runtime: Runtime) -> FastAPI:
    """Build the application on an open runtime. Nothing is opened, read or started here."""
    app = FastAPIOffline(  # the documentation page brings its own assets: it works where nothing else can be reached
        title="Headwater",
        version=version("headwater"),
        description=DESCRIPTION,
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours knows the allowlist of attributes
    )
    app.state.runtime = runtime
    register_problems(app)
    register_refusals(app)
    add_limits(app, runtime)
    app.include_router(_v1())
    install_openapi(app, DocumentPut, Metadata, BatchProblem)
    return app


@cache  # routes hold nothing of an application, and a process of tests builds hundreds
def _v1() -> APIRouter:
    router = APIRouter(prefix="/v1", dependencies=[Depends(waited_as_of)], responses=problems(*COMMON))
    for resource in (
        search,
        answers,
        feedback,
        documents,
        explain,
        directory,
        syncs,
        quarantine,
        undo,
        keys,
        parked,
        freshness,
        consistency,
    ):
        router.include_router(resource.router)
    return router
