"""Questions to the API on fakes, and texts to ask for."""

import json
from typing import Any

from tests.support.answering import AnsweringApi

LEAVE = "Annual leave is requested in the roster system three weeks before it begins"
PAY = "Salary bands are reviewed every January with the works council"


async def post(replica: AnsweringApi, path: str, headers: dict[str, str], **body: Any) -> Any:
    """Post under /v1 and return what is answered."""
    response = await replica.api.client.post(f"/v1{path}", json=body, headers=headers)
    assert response.status_code in {200, 202}, response.text
    return response.json()


async def texts(replica: AnsweringApi, headers: dict[str, str], query: str = "leave", **body: Any) -> list[str]:
    """Return the texts that a search shows."""
    found = await post(replica, "/search", headers, query=query, **body)
    return [hit["text"] for hit in found["hits"]]


async def events(replica: AnsweringApi, headers: dict[str, str], **body: Any) -> list[tuple[str, Any]]:
    """Return the server-sent events of a streamed answer."""
    response = await replica.api.client.post("/v1/query", json={**body, "stream": True}, headers=headers)
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block.split("\n") for block in response.text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]
