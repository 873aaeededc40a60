"""GitHub as it answered once: replays recordings of `api/github-octokit`, headers and all, on loopback.

Answers to one path come in the order in which they were recorded, the last one for ever. A condition that names its
ETag is answered with 304, as GitHub does. What was not recorded is a 404.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.support.corpora import corpus

GITHUB: Final = "https://api.github.com"
CODELOAD: Final = "https://codeload.github.com"
RECORDINGS: Final = "api/github-octokit"
# Of the connection, and of the body as it was on the wire.
_ITS_OWN: Final = {
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "server",
    "transfer-encoding",
}


@dataclass(slots=True)
class Replay:
    """Serves what was recorded. `unrecorded`: paths that were asked for and are in no recording."""

    exchanges: dict[str, list[dict[str, Any]]]
    url: str = ""
    not_modified: int = 0
    authorised: list[str] = field(default_factory=list)  # paths that were asked for with a credential
    unrecorded: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        if "Authorization" in request.headers:
            self.authorised.append(request.raw_path)
        exchanges = self.exchanges.get(request.raw_path)
        if not exchanges:
            self.unrecorded.append(request.raw_path)
            return web.json_response({"message": "Not Found"}, status=404)
        said = exchanges.pop(0) if len(exchanges) > 1 else exchanges[0]
        raw = said["rawHeaders"]
        headers = {
            name: value.replace(GITHUB, self.url).replace(CODELOAD, self.url.replace("github", "codeload"))
            for name, value in zip(raw[::2], raw[1::2], strict=True)
            if name.lower() not in _ITS_OWN
        }
        if said["status"] == 200 and request.headers.get("If-None-Match") == headers.get("ETag"):
            self.not_modified += 1
            return web.Response(status=304, headers=headers)
        if isinstance(said["response"], str):
            return web.Response(text=said["response"], status=said["status"], headers=headers)
        return web.json_response(said["response"], status=said["status"], headers=headers)


def recorded(recording: str) -> list[dict[str, Any]]:
    """Return the exchanges of a recording: method, path, status, headers, and what was answered."""
    raw = (corpus(RECORDINGS) / "api.github.com" / recording / "raw-fixture.json").read_text()
    exchanges: list[dict[str, Any]] = json.loads(raw)
    return exchanges


@asynccontextmanager
async def replayed(*recordings: str) -> AsyncIterator[Replay]:
    """Serve these recordings on a free port of loopback; `github.test` and `codeload.test` lead there."""
    exchanges: dict[str, list[dict[str, Any]]] = {}
    for recording in recordings:
        for each in recorded(recording):
            if each["method"] == "get":
                exchanges.setdefault(each["path"], []).append(each)
    replay = Replay(exchanges)
    app = web.Application()
    app.router.add_route("GET", "/{path:.*}", replay.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    replay.url = f"http://github.test:{runner.addresses[0][1]}"
    try:
        yield replay
    finally:
        await runner.cleanup()
