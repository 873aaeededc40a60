"""NDJSON batches: read as a stream, written side by side, a result per line."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from headwater.access.tokens import merge_tokens
from headwater.errors import PoisonError
from headwater.ports.heads import Positions
from query_api.changes import token_of
from query_api.documents.addresses import Address
from query_api.documents.content import ContentStore
from query_api.documents.schemas import BatchDelete, BatchItem, BatchOutcome, BatchPatch, BatchPut, BatchResult
from query_api.documents.service import DocumentWriter, Submitted
from query_api.documents.uploads import parse_json
from query_api.problems import ApiError, ContentTooLargeError, as_api_error
from schemas.ids import Revision, SourceId

WINDOW: Final = 32  # lines in hand at once: enough to hide the round trips to blob store and broker
_ITEM: TypeAdapter[BatchItem] = TypeAdapter(BatchItem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a body: what it asks for, or why that cannot be read."""

    number: int
    item: BatchItem | ApiError

    @property
    def address(self) -> Address | None:
        """Return which document the line is about."""
        if isinstance(self.item, ApiError):
            return None
        return Address(SourceId(self.item.source), self.item.external_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWriter:
    """Applies the lines of one body. A line that is refused stops no other; an outage ends the request.

    Repeating a batch is harmless: what is already true is dropped by admission.
    """

    writer: DocumentWriter
    store: ContentStore
    max_items: int
    max_line_bytes: int

    async def apply(self, body: AsyncIterable[bytes]) -> BatchOutcome:
        """Return a result per line, in order. Lines about one document take effect in their order."""
        results: list[BatchResult] = []
        positions: Positions = {}
        async for window in _windows(self._lines(body)):
            for result, submitted in await asyncio.gather(*map(self._settle, window)):
                results.append(result)
                if submitted is not None:
                    positions = merge_tokens(positions, submitted.positions)
        accepted = sum(result.problem is None for result in results)
        return BatchOutcome(
            accepted=accepted,
            refused=len(results) - accepted,
            token=token_of(positions) if positions else None,
            results=results,
        )

    async def _lines(self, body: AsyncIterable[bytes]) -> AsyncIterator[Line]:
        number = 0
        async for raw in _split(body, max_line_bytes=self.max_line_bytes):
            number += 1
            if number > self.max_items:
                raise ContentTooLargeError(f"body: more than {self.max_items} lines; the first ones are submitted")
            yield Line(number=number, item=_parse(raw))

    async def _settle(self, line: Line) -> tuple[BatchResult, Submitted | None]:
        address = line.address
        document = None if address is None else address.document_id(self.writer.tenant)
        try:
            submitted = await self._write(line, address)
        except (ApiError, PoisonError) as error:
            problem = as_api_error(error).problem()
            refused = BatchResult(line=line.number, status=problem.status, document_id=document, problem=problem)
            return refused, None
        return BatchResult(line=line.number, status=202, document_id=document), submitted

    async def _write(self, line: Line, address: Address | None) -> Submitted:
        item = line.item
        if isinstance(item, ApiError) or address is None:
            raise item if isinstance(item, ApiError) else TypeError(item)
        expected = None if item.if_match is None else Revision(item.if_match)
        match item:
            case BatchPut():
                self.writer.check(address.source)
                content = await self.store.store_text(self.writer.tenant, item.text, declared=item.media_type)
                return await self.writer.put(address, item, content, expected=expected)
            case BatchPatch():
                return await self.writer.patch(address, item, expected=expected)
            case BatchDelete():
                return await self.writer.delete(address, expected=expected, source_version=item.source_version)


def _parse(raw: bytes) -> BatchItem | ApiError:
    try:
        return parse_json(_ITEM, raw)
    except ApiError as error:
        return error


async def _windows(lines: AsyncIterator[Line]) -> AsyncIterator[list[Line]]:
    """Group lines so that no two of a group are about the same document: within a group there is no order."""
    window: list[Line] = []
    seen: set[Address] = set()
    async for line in lines:
        address = line.address
        if len(window) == WINDOW or address in seen:
            yield window
            window, seen = [], set()
        window.append(line)
        if address is not None:
            seen.add(address)
    if window:
        yield window


async def _split(body: AsyncIterable[bytes], *, max_line_bytes: int) -> AsyncIterator[bytes]:
    """Yield the lines of a stream that are not blank."""
    rest = b""
    async for data in body:
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > max_line_bytes or any(len(line) > max_line_bytes for line in lines):
            raise ContentTooLargeError(f"body: a line of more than {max_line_bytes} bytes; upload it on its own")
        for line in lines:
            if line.strip():
                yield line
    if rest.strip():
        yield rest
