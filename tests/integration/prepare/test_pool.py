"""The pool with real processes: what a hostile document does to itself, and that it does nothing to others."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from headwater.content.media_types import CODE
from headwater.errors import FatalError
from headwater.generations.policy import ChunkPolicy
from schemas.events.chunks import ChunkKind
from streams.prepare.errors import EmptyDocumentError, LimitExceededError, UnsupportedFormatError
from streams.prepare.limits import ParserLimits
from streams.prepare.pool import ParserPool, open_pool
from streams.prepare.process import ParserProcess
from tests.unit.prepare.programs import SAMPLES

PAGE = b"# Leave\n\nAsk your lead first.\n"
_MIB = 1024 * 1024
_DEADLINE_S = 30.0

OpenPool: TypeAlias = Callable[..., AbstractAsyncContextManager[ParserPool]]


@pytest.fixture
def pool_with(tokenizer_file: Path) -> OpenPool:
    @asynccontextmanager
    async def open_with(limits: ParserLimits | None = None, processes: int = 1) -> AsyncIterator[ParserPool]:
        async with open_pool(
            tokenizer_file=tokenizer_file,
            policy=ChunkPolicy(),
            limits=limits or ParserLimits(),
            processes=processes,
        ) as pool:
            yield pool

    return open_with


def idle(pool: ParserPool) -> ParserProcess:
    """Return the process that waits, without taking it."""
    process = pool._idle.get_nowait()
    pool._idle.put_nowait(process)
    assert process is not None
    return process


def slow_page(paragraphs: int) -> bytes:
    """Return a page that takes seconds: each paragraph nests emphasis that has to be sorted out."""
    return b"\n\n".join(b"*a **b " * 40 + b"%d" % n for n in range(paragraphs))


async def test_documents_come_back_prepared(pool_with: OpenPool, tmp_path: Path) -> None:
    file = tmp_path / "blob"
    file.write_bytes(PAGE)
    async with pool_with() as pool:
        from_bytes = await pool.prepare(PAGE, name="leave.md")
        from_file = await pool.prepare(file, declared="text/markdown")
    assert from_bytes == from_file
    assert [(chunk.section, chunk.text) for chunk in from_bytes.chunks] == [(("Leave",), "Ask your lead first.")]
    assert from_bytes.content_title == "Leave"


async def test_code_is_read_by_its_structure_in_a_confined_process(pool_with: OpenPool) -> None:
    async with pool_with() as pool:
        found = {name: await pool.prepare(text.encode(), name=name) for name, text in SAMPLES.items()}
    assert {prepared.media_type for prepared in found.values()} == CODE
    for name, prepared in found.items():
        assert "".join(chunk.text for chunk in prepared.chunks) == SAMPLES[name]
        assert {chunk.kind for chunk in prepared.chunks} == {ChunkKind.CODE}


async def test_errors_keep_their_names_and_the_process_lives(pool_with: OpenPool) -> None:
    async with pool_with() as pool:
        before = idle(pool).pid
        with pytest.raises(EmptyDocumentError):
            await pool.prepare(b"  ")
        with pytest.raises(UnsupportedFormatError, match="image/png"):
            await pool.prepare(b"\x89PNG\r\n\x1a\n")
        assert idle(pool).pid == before


async def test_more_documents_than_processes_wait_their_turn(pool_with: OpenPool) -> None:
    async with pool_with(processes=2) as pool:
        found = await asyncio.gather(
            *(pool.prepare(f"# Page {n}\n\nWords.".encode(), name="page.md") for n in range(20))
        )
    assert [prepared.content_title for prepared in found] == [f"Page {n}" for n in range(20)]


async def test_a_slow_document_is_ended_and_the_next_one_is_not(pool_with: OpenPool) -> None:
    async with pool_with(ParserLimits(wall_s=5.0)) as pool:  # far more than the second document needs, on any machine
        with pytest.raises(LimitExceededError, match=r"longer than 5 s"):
            await pool.prepare(slow_page(200_000), name="slow.md")
        assert (await pool.prepare(b"Words.")).text == "Words."


async def test_a_document_may_use_only_so_much_processor_time(pool_with: OpenPool) -> None:
    async with pool_with(ParserLimits(cpu_s=1)) as pool:
        with pytest.raises(LimitExceededError, match="1 s of processor time"):
            await pool.prepare(slow_page(60_000), name="slow.md")
        assert (await pool.prepare(b"Words.")).text == "Words."


async def test_a_document_may_use_only_so_much_memory(pool_with: OpenPool) -> None:
    async with pool_with(ParserLimits(memory_bytes=160 * _MIB)) as pool:
        with pytest.raises(LimitExceededError, match="memory"):
            await pool.prepare(b"word " * (12 * _MIB), name="big.txt")
        assert (await pool.prepare(b"Words.")).text == "Words."


async def test_a_killed_process_costs_no_document(pool_with: OpenPool) -> None:
    """An operator, or the kernel for another's sake, kills it: the document is tried again in a fresh one."""
    async with pool_with() as pool:
        os.kill(idle(pool).pid, signal.SIGKILL)
        assert (await pool.prepare(b"Words.")).text == "Words."


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_the_whole_group_leaves_the_parsers_to_their_stage(
    pool_with: OpenPool, ending: signal.Signals
) -> None:
    async with pool_with() as pool:
        before = idle(pool).pid
        os.kill(before, ending)
        assert (await pool.prepare(b"Words.")).text == "Words."
        assert idle(pool).pid == before


async def test_a_process_ends_when_its_stage_is_gone(pool_with: OpenPool) -> None:
    async with pool_with() as pool, asyncio.timeout(_DEADLINE_S):
        process = idle(pool)._process
        assert process.stdin is not None
        process.stdin.close()  # as the kernel does for a killed stage
        assert await process.wait() == 0


async def test_a_document_that_kills_its_process_again_is_named(pool_with: OpenPool) -> None:
    async with pool_with() as pool, asyncio.timeout(_DEADLINE_S):
        victims: set[int] = set()
        work = asyncio.ensure_future(pool.prepare(slow_page(60_000), name="slow.md"))
        while not work.done():
            victims |= kill_children(but=victims)
            await asyncio.wait([work], timeout=0.05)
        with pytest.raises(LimitExceededError, match="ended two parser processes"):
            await work
        assert (await pool.prepare(b"Words.")).text == "Words."


def kill_children(*, but: set[int]) -> set[int]:
    """Kill this process's busy parsers; returns whom it killed."""
    killed = set()
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
        user_ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
        busy = user_ticks > 150  # of a hundredth of a second: starting takes about half of it
        if int(pid) not in but and b"streams.prepare.worker" in arguments and busy:
            os.kill(int(pid), signal.SIGKILL)
            killed.add(int(pid))
    return killed


async def test_a_process_is_replaced_after_so_many_documents(pool_with: OpenPool) -> None:
    async with pool_with(ParserLimits(recycle_after=2)) as pool:
        first = idle(pool).pid
        for _ in range(3):
            await pool.prepare(b"Words.")
        assert idle(pool).pid != first


async def test_a_parser_is_not_judged_by_the_memory_of_who_started_it(pool_with: OpenPool) -> None:
    """The kernel's `ru_maxrss` of a new program begins with that of the program that started it."""
    held = b"x" * (600 * _MIB)  # written, so that it is resident
    async with pool_with(ParserLimits(recycle_resident_bytes=500 * _MIB)) as pool:
        before = idle(pool).pid
        await pool.prepare(b"Words.")
        assert idle(pool).pid == before
    assert len(held) == 600 * _MIB


async def test_a_cancelled_document_leaves_a_working_pool(pool_with: OpenPool) -> None:
    async with pool_with() as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await pool.prepare(slow_page(20_000), name="slow.md")
        assert (await pool.prepare(b"Words.")).text == "Words."


async def test_a_wrong_tokenizer_is_fatal(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="parser process does not start"):
        async with open_pool(
            tokenizer_file=tmp_path / "none.json", policy=ChunkPolicy(), limits=ParserLimits(), processes=1
        ):
            pass


def test_a_parser_reaches_no_network_and_starts_no_program() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = f"""
import socket, subprocess
from streams.prepare import confinement
confinement.refuse_sockets_and_programs()
refused = 0
for attempt in (
    lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), timeout=2),
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: subprocess.run(["/bin/true"]),
):
    try:
        attempt()
    except PermissionError:
        refused += 1
raise SystemExit(refused)
"""
        assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 3


def test_native_code_is_cut_off_too_where_the_kernel_permits_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = f"""
import socket
from streams.prepare import confinement
if not confinement.leave_network():
    raise SystemExit(77)
try:
    socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), timeout=2)
except OSError:
    raise SystemExit(0)
raise SystemExit(1)
"""
        code = subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode
    if code == 77:
        pytest.skip("this kernel permits no network namespaces")
    assert code == 0


async def test_a_parser_sees_no_secrets(pool_with: OpenPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_KAFKA__SASL_PASSWORD", "canary")
    async with pool_with() as pool:
        environment = Path(f"/proc/{idle(pool).pid}/environ").read_bytes()
    assert b"canary" not in environment
    assert b"PATH=" in environment
