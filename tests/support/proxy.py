"""A component behind connections that can be cut: nothing happens to it, or to whoever else uses it."""

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from headwater.local.ports import LOOPBACK

_START_S: Final = 10.0
_PIECE_BYTES: Final = 64 * 1024
_NUMBER_BYTES: Final = 4  # of the length before each of Kafka's answers, and of a port within them


@dataclass(slots=True, kw_only=True)
class Proxy:
    """Hands on what clients and a component on loopback say to each other, on a port of its own.

    `broker`: the component tells its clients where to connect to next. They are told the proxy's port instead, or they
    would go round it.
    """

    target: int  # the component's port
    broker: bool = False
    port: int = 0
    ended: int = 0  # connections that cuts have ended, or refused
    _is_cut: bool = False
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _relays: set["asyncio.Task[None] | None"] = field(default_factory=set)
    _open: set[StreamWriter] = field(default_factory=set)

    @contextmanager
    def relaying(self) -> Iterator["Proxy"]:
        """Relay, in a thread of its own, until the block ends."""
        ready, ending = threading.Event(), asyncio.Event()
        thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(ready, ending),))
        thread.start()
        try:
            if not ready.wait(_START_S):
                raise TimeoutError(f"no proxy before port {self.target}")
            yield self
        finally:
            self._loop.call_soon_threadsafe(ending.set)
            thread.join()
            self._loop.close()

    @contextmanager
    def cut(self) -> Iterator[None]:
        """End every connection, and each new one at once, until the block ends."""
        self._is_cut = True
        self._loop.call_soon_threadsafe(self._end_all)
        try:
            yield
        finally:
            self._is_cut = False

    async def _serve(self, ready: threading.Event, ending: asyncio.Event) -> None:
        server = await asyncio.start_server(self._relay, LOOPBACK, 0)
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await ending.wait()
            self._is_cut = True
            self._end_all()
            await asyncio.gather(*filter(None, self._relays))

    def _end_all(self) -> None:
        self.ended += len(self._relays)
        for each in self._open:
            each.transport.abort()

    async def _relay(self, asked: StreamReader, answering: StreamWriter) -> None:
        relay = asyncio.current_task()
        self._relays.add(relay)
        self._open.add(answering)
        if self._is_cut:
            self.ended += 1
            answering.transport.abort()
        else:
            await self._join(asked, answering)
        await self._end(answering)
        self._relays.discard(relay)

    async def _join(self, asked: StreamReader, answering: StreamWriter) -> None:
        try:
            answers, asking = await asyncio.open_connection(LOOPBACK, self.target)
        except OSError:
            answering.transport.abort()
            return
        self._open.add(asking)
        await asyncio.gather(self._hand_on(asked, asking), self._hand_back(answers, answering))
        await self._end(asking)

    async def _end(self, writer: StreamWriter) -> None:
        """Wait until a connection that is being closed is: a loop that ends before leaves its socket open."""
        self._open.discard(writer)
        with suppress(OSError):
            await writer.wait_closed()

    async def _hand_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def _hand_back(self, reader: StreamReader, writer: StreamWriter) -> None:
        if not self.broker:
            await self._hand_on(reader, writer)
            return
        theirs, ours = (LOOPBACK.encode() + port.to_bytes(_NUMBER_BYTES) for port in (self.target, self.port))
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                length = await reader.readexactly(_NUMBER_BYTES)
                answer = await reader.readexactly(int.from_bytes(length))
                writer.write(length + answer.replace(theirs, ours))
                await writer.drain()
        writer.close()
