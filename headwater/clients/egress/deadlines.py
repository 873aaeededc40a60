"""How long one exchange may take on the wire."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from headwater.clients.egress.errors import SourceAwayError, of_transport


class Remaining:
    """The time that one exchange may still take on the wire; what the reader does between two pieces is not counted."""

    def __init__(self, total_s: float) -> None:
        self._left_s = total_s

    @asynccontextmanager
    async def running(self, host: str, *, limit_s: float | None = None) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        allowed_s = self._left_s if limit_s is None else min(limit_s, self._left_s)
        try:
            async with asyncio.timeout(allowed_s):
                yield
        except TimeoutError as error:
            raise SourceAwayError(
                f"{host} is too slow; try again later, or raise egress.header_timeout_s or egress.total_timeout_s"
            ) from error
        finally:
            self._left_s -= loop.time() - begun

    async def reading(self, response: httpx.Response, host: str) -> AsyncIterator[bytes]:
        pieces = response.aiter_raw()
        while True:
            try:
                async with self.running(host):
                    piece = await anext(pieces, None)
            except httpx.HTTPError as error:
                raise of_transport(error, host=host) from error
            if piece is None:
                return
            yield piece
