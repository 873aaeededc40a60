"""The query API as the canary calls it: over HTTP, with two keys of its own tenant."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx

from headwater.canary.documents import SOURCE, TITLE, Probe, text_of
from headwater.canary.keys import OWNER, WITNESS, Keys
from headwater.canary.plan import Change, Edition
from headwater.canary.walk import CallFailedError
from headwater.cli.api_client import path_id
from headwater.settings import Settings
from schemas.events.canaries import StepMeasured

CALL_TIMEOUT_S: Final = 5.0
_OWNER_ONLY: Final = {"clauses": [{"principals": [f"user:{OWNER}"]}]}
_BOTH: Final = {"clauses": [{"principals": [f"user:{OWNER}", f"user:{WITNESS}"]}]}
_MAX_CODE: Final = 80


@asynccontextmanager
async def open_http(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client of the API that the settings name."""
    url = settings.canary.api_url or f"http://{settings.api.host}:{settings.api.port}"
    async with httpx.AsyncClient(base_url=f"{url.rstrip('/')}/v1", timeout=CALL_TIMEOUT_S, trust_env=False) as client:
        yield client


async def call(http: httpx.AsyncClient, key: str, method: str, path: str, **options: Any) -> Any:
    """Return the response's JSON; raise CallFailedError with the problem's code, or what kept it from coming."""
    try:
        response = await http.request(method, path, headers={"Authorization": f"Bearer {key}"}, **options)
        body = response.json()
    except (httpx.HTTPError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CallFailedError(type(error).__name__) from error
    if response.is_error:
        code = body.get("code") if isinstance(body, dict) else None
        raise CallFailedError(str(code or f"status_{response.status_code}")[:_MAX_CODE])
    return body


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCaller:
    """Implements Caller. The owner writes, the witness looks."""

    http: httpx.AsyncClient
    keys: Keys

    async def change(self, probe: Probe, change: Change, marks: Mapping[Edition, str]) -> None:
        """See Caller."""
        path = f"/documents/{SOURCE}/{path_id(probe.external_id)}"
        match change:
            case Change.WRITE_FIRST:
                await self._own("PUT", path, _document(marks[Edition.FIRST]))
            case Change.WRITE_SECOND:
                await self._own("PUT", path, _document(marks[Edition.SECOND]))
            case Change.REVOKE:
                await self._own("PUT", f"{path}/access", _OWNER_ONLY)
            case Change.GRANT:
                await self._own("PUT", f"{path}/access", _BOTH)
            case Change.DELETE:
                await self._own("DELETE", path)

    async def look(self, probe: Probe, query: str, mode: str) -> list[str]:
        """See Caller."""
        only_it = {"field": "document_id", "equals": probe.document_id}
        asked = {"query": query, "mode": mode, "filters": only_it}
        found = await call(self.http, self.keys.witness, "POST", "/search", json=asked)
        try:
            return [str(hit["text"]) for hit in found["hits"]]
        except (KeyError, TypeError) as error:
            raise CallFailedError(type(error).__name__) from error

    async def report(self, round_id: UUID, began_at: datetime, probe: Probe, steps: Sequence[StepMeasured]) -> None:
        """Report a round; repeating it is harmless. Raises CallFailedError."""
        body = {
            "round_id": str(round_id),
            "began_at": began_at.isoformat(),
            "document_id": probe.document_id,
            "partition": probe.partition,
            "steps": [
                {"step": each.step, "outcome": each.outcome, "duration_ms": each.duration_ms, "error": each.error}
                for each in steps
            ],
        }
        await self._own("POST", "/freshness/rounds", body)

    async def _own(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> None:
        await call(self.http, self.keys.owner, method, path, json=body)


def _document(mark: str) -> Mapping[str, Any]:
    return {"title": TITLE, "text": text_of(mark), "media_type": "text/markdown", "access": _BOTH}
