"""The guarded transport as httpx knows one, for a protocol that is spoken by a client of its own (S3).

That client repeats. What the source says of its limits is obeyed here, by the request that comes next.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx

from headwater.clients.egress.deadlines import Remaining
from headwater.clients.egress.errors import DestinationRefusedError, HomeRefusedError
from headwater.clients.egress.limits import limit_wait_s, says_limited, stated_limits
from headwater.clients.egress.pacing import Clock, SourceBudget
from headwater.clients.egress.targets import Hop, checked_url
from headwater.clients.egress.transport import GuardedTransport, Timeouts
from headwater.settings import EgressSettings


class GuardedHttpx(httpx.AsyncBaseTransport):
    """Sends requests by the guarded transport. Closing it closes nothing: the connections belong to the process."""

    def __init__(
        self, transport: GuardedTransport, *, settings: EgressSettings, clock: Clock, budget: SourceBudget
    ) -> None:
        self._transport, self._settings, self._clock, self._budget = transport, settings, clock, budget
        self._timeouts = Timeouts(connect_s=settings.connect_timeout_s, read_s=settings.read_timeout_s)
        self._repeats = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, once neither budget nor a host's limit forbids it, and return its response, body unread.

        It is under way until that response is closed. The settings' times hold for headers and body, whatever timeout
        the request names.

        Raises HomeRefusedError before anything is sent to a refused address, RateLimitedError where the limit outlasts
        the budget for waiting, SourceAwayError where the exchange takes too long, also while the body is read, else
        what `of_transport` makes of httpx's errors.
        """
        opened = AsyncExitStack()
        try:
            await opened.enter_async_context(self._budget.slots)
            await self._budget.pacer.admit(request.url.host, budget_s=self._budget.wait_s)
            response = await self._sent(request, opened)
        except BaseException:
            await opened.aclose()
            raise
        headers = {name.lower(): value for name, value in response.headers.items()}
        stated = stated_limits(headers, now=self._clock.now())
        if says_limited(response.status_code, stated, ""):
            wait_s = limit_wait_s(response.status_code, stated, repeats=self._repeats)
            self._budget.pacer.hold(request.url.host, wait_s)
            self._repeats += 1
        else:
            self._repeats = 0
        return response

    async def _sent(self, request: httpx.Request, opened: AsyncExitStack) -> httpx.Response:
        deadline, host = Remaining(self._settings.total_timeout_s), request.url.host
        try:
            hop = Hop(
                method=request.method,
                url=checked_url(str(request.url)),
                headers={name: value for name, value in request.headers.items() if name.lower() != "host"},  # the hop's
                content=await request.aread() or None,
                trusted=True,
                target=request.extensions.get("target"),
            )
            async with deadline.running(host, limit_s=self._settings.header_timeout_s):
                response = await opened.enter_async_context(self._transport.opened(hop, timeouts=self._timeouts))
        except DestinationRefusedError as error:
            raise HomeRefusedError(f"the source's address: {error}") from error
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            stream=_Body(deadline.reading(response, host), opened),
            extensions=response.extensions,
        )


class _Body(httpx.AsyncByteStream):
    """A response's bytes; its connection is given back at the end."""

    def __init__(self, pieces: AsyncIterator[bytes], opened: AsyncExitStack) -> None:
        self._pieces, self._opened = pieces, opened

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces

    async def aclose(self) -> None:
        await self._opened.aclose()
