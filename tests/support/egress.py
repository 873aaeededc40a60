"""A real HTTP server on loopback with answers of a test's, names that lead where it says, and time that jumps."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final
from unittest.mock import patch

from headwater.clients.egress.addresses import Address
from headwater.clients.egress.client import Egress, open_egress
from headwater.settings import EgressSettings

START = datetime(2030, 1, 1, tzinfo=UTC)
_TURNS: Final = 20  # of the loop, in which what has come is read


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes = b""


async def sent_whole(writer: asyncio.StreamWriter, said: bytes) -> None:
    """Send all at once."""
    writer.write(said)
    await writer.drain()


Send = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]


@dataclass(slots=True)
class ScriptedServer:
    """Answers as it is told to, in raw bytes, and remembers what it was asked."""

    answer: Callable[[Asked], bytes]
    send: Send = sent_whole
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    _open: dict["asyncio.Task[None]", asyncio.StreamWriter] = field(default_factory=dict)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open[asyncio.create_task(self._serve(reader, writer))] = writer

    async def end(self) -> None:
        """Close what clients left, also what they left before anybody served it."""
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while lines := (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n"):
                method, target, _ = lines[0].split(" ")
                pairs = (line.split(": ", 1) for line in lines[1:] if line)
                headers = {name.lower(): value for name, value in pairs}
                content = await reader.readexactly(int(headers.get("content-length", "0")))
                asked = Asked(method=method, target=target, headers=headers, content=content)
                self.asked.append(asked)
                await self.send(writer, self.answer(asked))
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a response; underscores in header names stand for hyphens."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def answering(answer: Callable[[Asked], bytes], *, send: Send = sent_whole) -> AsyncIterator[ScriptedServer]:
    """Serve on a free port until the block ends."""
    scripted_server = ScriptedServer(answer, send)
    server = await asyncio.start_server(scripted_server.accept, "127.0.0.1", 0)
    scripted_server.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted_server
    finally:
        for _ in range(_TURNS):  # of what is accepted just now a closed server would leave half a connection behind
            await asyncio.sleep(0)
        server.close()
        await scripted_server.end()


def scripted(*replies: bytes) -> AbstractAsyncContextManager[ScriptedServer]:
    """Answer with the replies in turn, the last one for ever."""
    left = [*replies]
    return answering(lambda _: left.pop(0) if len(left) > 1 else left[0])


@dataclass(slots=True)
class FakeResolver:
    """Answers each look-up with the next list of addresses, the last one for ever."""

    answers: dict[str, list[Sequence[str]]]
    looked_up: list[str] = field(default_factory=list)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        self.looked_up.append(host)
        answers = self.answers[host]
        return [ip_address(text) for text in (answers.pop(0) if len(answers) > 1 else answers[0])]


@dataclass(slots=True)
class FakeClock:
    """Time that passes only by waiting."""

    passed_s: float = 0.0
    waits: list[float] = field(default_factory=list)
    on_wait: Callable[[], None] | None = None

    def monotonic(self) -> float:
        return 1_000.0 + self.passed_s

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    async def sleep(self, seconds: float) -> None:
        if self.on_wait is not None:
            self.on_wait()
        self.waits.append(seconds)
        self.passed_s += seconds


@asynccontextmanager
async def dripping(answer: bytes, *, every_s: float, at_once: int = 1) -> AsyncIterator[ScriptedServer]:
    """Answer for ever the same, so many bytes at a time, before each of which the loop's time jumps."""
    loop = asyncio.get_running_loop()
    begun, jumped_s = loop.time, 0.0

    async def send(writer: asyncio.StreamWriter, said: bytes) -> None:
        nonlocal jumped_s
        for at in range(0, len(said), at_once):
            jumped_s += every_s
            await sent_whole(writer, said[at : at + at_once])
            for _ in range(_TURNS):
                await asyncio.sleep(0)

    with patch.object(loop, "time", lambda: begun() + jumped_s):
        async with answering(lambda _: answer, send=send) as server:
            yield server


@asynccontextmanager
async def egress(
    clock: FakeClock, names: Mapping[str, list[Sequence[str]]] | None = None, **settings: Any
) -> AsyncIterator[Egress]:
    """Open the client with `wiki.test` on loopback, which is allowed, unless settings say otherwise."""
    resolver = FakeResolver(dict(names or {"wiki.test": [["127.0.0.1"]]}))
    chosen = EgressSettings(**({"allowed_hosts": ["wiki.test"]} | settings))
    async with open_egress(chosen, resolver=resolver, clock=clock) as opened:
        yield opened
