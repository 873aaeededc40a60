"""Each format in the confined pool, and each limit really exceeded by a document of each format."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.content.media_types import MediaType
from headwater.generations.policy import ChunkPolicy
from streams.prepare.errors import LimitExceededError
from streams.prepare.limits import ParserLimits
from streams.prepare.pool import ParserPool, open_pool
from streams.prepare.prepared import Prepared
from tests.support.formats import File, files
from tests.support.taken_over import KEPT_IN, MEMORY, OUTSIDE, PROCESSOR, TIME, take_over_parsers

GIGABYTE = 1024**3
FORMATS = set(files("x"))
SOME = {MediaType.EMAIL, MediaType.HTML, MediaType.PDF}


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[socket.socket]:
    """Let documents take their parsers over; the socket is whom they would reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        monkeypatch.setenv("PYTHONPATH", take_over_parsers(tmp_path, port=server.getsockname()[1]))
        yield server


async def prepared(pool: ParserPool, file: File) -> Prepared:
    return await pool.prepare(file.content, name=file.name)


async def refused(pool: ParserPool, file: File) -> str:
    """Return the reason for which a document is not prepared."""
    with pytest.raises(LimitExceededError) as error:
        await prepared(pool, file)
    return str(error.value)


async def test_each_format_is_read_in_a_confined_process(tokenizer_file: Path) -> None:
    async with open_pool(
        tokenizer_file=tokenizer_file, policy=ChunkPolicy(), limits=ParserLimits(), processes=1
    ) as pool:
        found = {kind: await prepared(pool, file) for kind, file in files("Ask your lead first.").items()}
    assert {kind: each.media_type for kind, each in found.items()} == {kind: kind for kind in FORMATS}
    for each in found.values():
        assert any("Ask your lead first." in chunk.text for chunk in each.chunks)


async def test_a_document_of_any_format_gets_no_more_memory_and_the_next_is_read(
    tokenizer_file: Path, outside: socket.socket
) -> None:
    limits = ParserLimits(memory_bytes=GIGABYTE)
    async with open_pool(tokenizer_file=tokenizer_file, policy=ChunkPolicy(), limits=limits, processes=1) as pool:
        reasons = {kind: await refused(pool, file) for kind, file in files(MEMORY).items()}
        after = {kind: await prepared(pool, file) for kind, file in files("Words").items()}
    said = f"parsing needs more than the limit of {GIGABYTE} bytes of memory: split the document"
    assert reasons == dict.fromkeys(FORMATS, said)
    assert all("Words" in each.text for each in after.values())


@pytest.mark.parametrize(
    ("word", "kinds", "limits", "said"),
    [
        # Seconds of both cores for each format: one that is read in Python, one in C, one in C++.
        (PROCESSOR, SOME, ParserLimits(cpu_s=1), "parsing needs more than 1 s of processor time: split the document"),
        (TIME, FORMATS, ParserLimits(wall_s=1.0), "parsing takes longer than 1 s: split the document"),
    ],
    ids=["processor", "time"],
)
async def test_a_document_of_any_format_gets_no_more_time(
    tokenizer_file: Path, outside: socket.socket, word: str, kinds: set[MediaType], limits: ParserLimits, said: str
) -> None:
    async with open_pool(
        tokenizer_file=tokenizer_file, policy=ChunkPolicy(), limits=limits, processes=3, on_demand=True
    ) as pool:
        reasons = await asyncio.gather(*(refused(pool, files(word)[kind]) for kind in kinds))
    assert reasons == [said] * len(kinds)


async def test_a_document_of_any_format_stays_inside(tokenizer_file: Path, outside: socket.socket) -> None:
    async with open_pool(
        tokenizer_file=tokenizer_file, policy=ChunkPolicy(), limits=ParserLimits(), processes=1
    ) as pool:
        found = {kind: (await prepared(pool, file)).text for kind, file in files(OUTSIDE).items()}
    # Native code is held by a network of its own, which not every kernel lets a process have.
    assert found == dict.fromkeys(FORMATS, KEPT_IN if has_networks() else "native")
    if has_networks():
        with pytest.raises(BlockingIOError):
            outside.accept()


def has_networks() -> bool:
    program = "from streams.prepare import confinement; raise SystemExit(not confinement.leave_network())"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=60).returncode == 0
