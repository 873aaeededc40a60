"""The OpenAPI document: tags, and the bodies that are read as streams and so unknown to the framework."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from query_api.problems import MalformedBodyError, Problem, UnsupportedBodyError, problems

DESCRIPTION: Final = """
A company's documents, searchable and answerable: always current, and only for those who may read them.

* Send `Authorization: Bearer hw_...`. Tenant and rights come from the key alone.
* A write answers 202 with a `token`; `after=<token>` (or the header `Headwater-After`) makes any request wait until it
  reflects that write.
* Every response carries `Headwater-As-Of`: everything that was appended to the log before that instant is in it.
* Errors are problem documents (RFC 9457) with `code`, `field` and `remedy`. What a caller may not read is a 404.
"""
TAGS: Final = [
    {"name": "search", "description": "Find passages by words and by meaning."},
    {"name": "answers", "description": "Ask; answers cite what they rest on."},
    {"name": "feedback", "description": "Say what an answer was worth."},
    {"name": "documents", "description": "Submit, change, delete; state, lineage and why one is not found."},
    {"name": "directory", "description": "Knowledge bases, users, groups, sources, retrieval profiles, tenants."},
    {"name": "keys", "description": "API keys."},
    {"name": "parked", "description": "Dead letters and why they are there."},
]


_BODY_PROBLEMS: Final = problems(MalformedBodyError, UnsupportedBodyError)


def install_openapi(app: FastAPI, *streamed: type[BaseModel]) -> None:
    """Complete the document with the models that no endpoint's signature names."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS
            )
            models: list[type[BaseModel]] = [Problem, *streamed]
            _, extra = models_json_schema(
                [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
            )
            _declare_body_problems(schema)
            schema.setdefault("components", {}).setdefault("schemas", {}).update(extra["$defs"])
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _declare_body_problems(schema: dict[str, Any]) -> None:
    """Add to every operation that takes a body what the reading of bodies may answer."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            if "requestBody" in operation:
                for status, problem in _BODY_PROBLEMS.items():
                    operation["responses"].setdefault(str(status), problem)
