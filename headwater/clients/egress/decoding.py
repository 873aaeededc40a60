"""Bodies within their caps: as sent, and as decompressed, piece by piece.

httpx's own decoders hand out whatever one piece from the network decompresses to: 64 KiB of gzip may be 64 MiB, of
brotli far more. Here zlib stops at the end of each small output piece.
"""

import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Final

from headwater.clients.egress.errors import RequestRefusedError, ResponseTooLargeError, SourceAwayError

ACCEPTED: Final = "gzip"
PIECE_BYTES: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


async def decoded(raw: AsyncIterator[bytes], *, encoding: str, limit: int, host: str) -> AsyncGenerator[bytes, None]:
    """Yield the body in pieces of at most PIECE_BYTES once decompressed (as they come, where they are not compressed).

    Raises ResponseTooLargeError past `limit` bytes, sent or decompressed; RequestRefusedError for an encoding that was
    not asked for; SourceAwayError where the compressed stream is broken or ends early.
    """
    gate = _Gate(limit=limit, host=host)
    match encoding.strip().lower():
        case "" | "identity":
            async for piece in raw:
                yield gate.pass_on(piece)
        case "gzip" | "x-gzip":
            inflater = _Inflater(host=host)
            async for piece in raw:
                gate.count_sent(piece)
                for output in inflater.feed(piece):
                    yield gate.pass_on(output)
            inflater.finish()
        case _:
            raise RequestRefusedError(f"{host} sent a content encoding that was not asked for; only {ACCEPTED} is")


class _Gate:
    """Counts, and refuses the byte that is one too many before anybody sees it."""

    def __init__(self, *, limit: int, host: str) -> None:
        self._limit, self._host = limit, host
        self._sent = self._passed = 0

    def count_sent(self, piece: bytes) -> None:
        self._sent += len(piece)
        self._check(self._sent)

    def pass_on(self, piece: bytes) -> bytes:
        self._passed += len(piece)
        self._check(self._passed)
        return piece

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise too_large(self._host, self._limit)


class _Inflater:
    """gzip, of one member or several."""

    def __init__(self, *, host: str) -> None:
        self._host = host
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            try:
                output = self._member.decompress(piece, PIECE_BYTES)
            except zlib.error as error:
                raise SourceAwayError(f"{self._host} sent a body that is no gzip; try again later") from error
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if output:
                yield output
        yield from self._rest()

    def _rest(self) -> Iterator[bytes]:
        # With all input taken, zlib may still hold output back: it stopped at the end of a piece.
        while not self._member.eof and self._begun:
            output = self._member.decompress(b"", PIECE_BYTES)
            if not output:
                return
            yield output

    def finish(self) -> None:
        if self._begun and not self._member.eof:
            raise SourceAwayError(f"{self._host} broke off in the middle of a compressed body; try again later")


def too_large(host: str, limit: int) -> ResponseTooLargeError:
    """Return the error that names the cap and what raises it."""
    return ResponseTooLargeError(
        f"the response of {host} is larger than {limit} bytes; raise egress.max_response_bytes, or leave the item out"
    )
