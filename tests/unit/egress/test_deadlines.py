"""One exchange has one time, however it drips."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from headwater.clients.egress.deadlines import Remaining
from headwater.clients.egress.errors import SourceAwayError


class Dripping(httpx.AsyncByteStream):
    """A byte at a time, each long before any limit of its own."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(20):
            await asyncio.sleep(0.01)
            yield b"x"


async def test_pieces_share_one_time() -> None:
    response = httpx.Response(200, stream=Dripping())
    pieces = Remaining(0.05).reading(response, "wiki.test")
    with pytest.raises(SourceAwayError, match=r"wiki\.test is too slow"):
        [piece async for piece in pieces]
