"""Bodies within their caps."""

import gzip
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.clients.egress.decoding import PIECE_BYTES, decoded
from headwater.clients.egress.errors import RequestRefusedError, ResponseTooLargeError, SourceAwayError


async def sent(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def received(pieces: Sequence[bytes], *, encoding: str = "gzip", limit: int = 10**8) -> list[bytes]:
    return [piece async for piece in decoded(sent(pieces), encoding=encoding, limit=limit, host="wiki.test")]


async def test_one_piece_from_the_network_never_becomes_one_large_piece() -> None:
    sizes = [len(piece) for piece in await received([gzip.compress(bytes(500_000))])]
    assert sum(sizes) == 500_000
    assert max(sizes) <= PIECE_BYTES


@given(content=st.binary(max_size=2_000), repeats=st.integers(min_value=1, max_value=200), cut=st.integers(1, 300))
async def test_content_is_the_same_however_it_is_cut(content: bytes, repeats: int, cut: int) -> None:
    packed = gzip.compress(content * repeats) + gzip.compress(content)
    pieces = [packed[start : start + cut] for start in range(0, len(packed), cut)]
    assert b"".join(await received(pieces)) == content * repeats + content


@pytest.mark.parametrize(
    "broken", [gzip.compress(b"text" * 99, mtime=0)[:-9], b"no gzip at all"], ids=["cut off", "plain"]
)
async def test_a_broken_stream_is_no_content(broken: bytes) -> None:
    with pytest.raises(SourceAwayError, match=r"wiki\.test"):
        await received([broken])


async def test_what_was_not_asked_for_is_refused() -> None:
    with pytest.raises(RequestRefusedError, match="gzip"):
        await received([b"x"], encoding="br")


async def test_what_is_sent_counts_though_nothing_comes_out_of_it() -> None:
    empty = gzip.compress(b"")
    assert await received([empty] * 5, limit=5 * len(empty)) == []
    with pytest.raises(ResponseTooLargeError):
        await received([empty] * 6, limit=5 * len(empty))
