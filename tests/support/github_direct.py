"""The fake server asked without a network: for tests of many looks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from headwater.clients.egress.client import Egress
from headwater.clients.egress.conditional import Validators
from headwater.clients.egress.errors import MissingError, RequestRefusedError
from headwater.clients.egress.requests import EgressRequest, Fetched, NotModified, Streamed
from tests.support.egress import FakeClock
from tests.support.github_server import GithubServer
from tests.support.github_source import OrganisationSource


class DirectSource:
    """What a connector asks, in place of the egress client's source. No limits, no outages, no credentials."""

    def __init__(self, server: GithubServer) -> None:
        self._server = server

    async def fetch(self, request: EgressRequest) -> Fetched | NotModified:
        """Answer as the server would."""
        url, _, query = request.url.removeprefix(self._server.url).lstrip("/").partition("?")
        self._server.requests.append(request.url)
        path = unquote(url)
        asked = SimpleNamespace(
            headers=request.validators.conditions(), query=dict(parse_qsl(query)), path=f"/{path}", raw_path=f"/{url}"
        )
        answer = self._server._rest(cast("Any", asked), f"/{url}")  # the same answers, without HTTP
        headers = {name.lower(): value for name, value in answer.headers.items()}
        if answer.status == 304:
            return NotModified(validators=request.validators, headers=headers)
        if answer.status in {404, 410}:
            raise MissingError(url)
        if answer.status >= 400:
            raise RequestRefusedError(url)
        return Fetched(
            status=answer.status,
            headers=headers,
            validators=Validators.of(headers),
            content=cast("bytes", answer.body or b""),
        )

    @asynccontextmanager
    async def stream(self, request: EgressRequest) -> AsyncIterator[Streamed]:
        """Answer in one piece."""
        found = await self.fetch(request)
        assert isinstance(found, Fetched)

        async def pieces() -> AsyncIterator[bytes]:
            yield found.content

        yield Streamed(status=200, headers=found.headers, validators=found.validators, pieces=pieces())


class DirectEgress:
    """Gives every connector the same source."""

    def __init__(self, server: GithubServer) -> None:
        self._server = server

    def source(self, **_: object) -> DirectSource:
        """Return it, whatever home and credential are."""
        return DirectSource(self._server)


def direct_source() -> OrganisationSource:
    """Return an empty organisation whose issues are not read."""
    server = GithubServer(url="http://github.test")
    source = OrganisationSource(server, cast("Egress", DirectEgress(server)), FakeClock())
    source.settings["issues"] = False
    return source
