"""Atlassian's gateway before a Cloud site, and who gives tokens: what a service account sees.

The site itself answers nobody but those without credentials; `next` of version 2 is told as the site would.
"""

import base64
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from aiohttp import web

from tests.support.confluence_cloud import EMAIL, CloudServer
from tests.support.confluence_server import BOT, TOKEN

CLOUD_ID: Final = "c0ffee-1"
CLIENT_ID: Final = "client-of-the-bot"
CLIENT_SECRET: Final = "secret-of-the-client"
LIFE_S: Final = 3_600
_BEFORE: Final = f"/ex/confluence/{CLOUD_ID}/wiki"


@dataclass(slots=True)
class GatewayServer(CloudServer):
    """Answers as the gateway does. A token opens until it ends, or another was given after `revoke`."""

    grants: list[dict[str, Any]] = field(default_factory=list)  # what was asked for tokens
    grant: tuple[int, bytes] | None = None  # answered instead of a token
    grant_takes_s: float = 0.0
    grants_fail: int = 0  # so many are answered with 503 first
    refusals: int = 0  # requests with a token that opens nothing
    _open: dict[str, Any] = field(default_factory=dict)  # header -> until when

    def revoke(self) -> None:
        """Let no token open any more that was given so far."""
        self._open.clear()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if request.path == "/oauth/token":
            return self._granted(await request.json())
        return await CloudServer.handle(self, request)

    def below(self, request: web.Request) -> str:
        """Return the path below the site, behind the gateway or not."""
        path = request.rel_url.raw_path
        return path.removeprefix(_BEFORE if path.startswith(_BEFORE) else self.context)

    def account(self, request: web.Request) -> str | None:
        """Return who asks."""
        shown = request.headers.get("Authorization")
        if shown is None or not request.path.startswith(_BEFORE):
            return None
        pair = base64.b64encode(f"{EMAIL}:{TOKEN}".encode()).decode()
        until = self._open.get(shown)
        if shown == f"Basic {pair}" or (until is not None and self.wiki.clock.now() < until):
            return BOT
        self.refusals += 1
        return None

    def _granted(self, said: dict[str, Any]) -> web.Response:
        self.grants.append(said)
        self.wiki.clock.passed_s += self.grant_takes_s
        if self.grants_fail:
            self.grants_fail -= 1
            return web.Response(status=503)
        if self.grant is not None:
            return web.Response(status=self.grant[0], body=self.grant[1])
        if (said.get("client_id"), said.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "access_denied"}, status=401)
        token = f"token-{len(self.grants)}"
        self._open[f"Bearer {token}"] = self.wiki.clock.now() + timedelta(seconds=LIFE_S)
        return web.json_response({"access_token": token, "expires_in": LIFE_S, "token_type": "Bearer"})
