"""Requests that write documents, and what was submitted of them."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from query_api.documents.addresses import encode_external_id
from schemas.events import DocumentSubmitted
from tests.support.api import FakeApi

EVERYONE = {"clauses": [{"principals": ["everyone"]}]}
PAGE = {"title": "Page", "text": "Some text.", "access": EVERYONE}


def path_of(external_id: str = "page 1", source: str = "wiki") -> str:
    return f"/v1/documents/{source}/{encode_external_id(external_id)}"


async def put(api: FakeApi, headers: Mapping[str, str], body: Mapping[str, Any] = PAGE) -> httpx.Response:
    return await api.client.put(path_of(), json=body, headers=headers)


def only_submission(api: FakeApi) -> DocumentSubmitted:
    (event,) = api.log.sent(DocumentSubmitted)
    assert isinstance(event, DocumentSubmitted)
    return event


async def post_batch(api: FakeApi, lines: list[str], headers: Mapping[str, str]) -> httpx.Response:
    return await api.client.post(
        "/v1/documents/batch",
        content="\n".join(lines).encode(),
        headers={**headers, "Content-Type": "application/x-ndjson"},
    )


def item(external_id: str, **more: Any) -> str:
    return json.dumps({"op": "put", "source": "wiki", "external_id": external_id, **PAGE, **more})
