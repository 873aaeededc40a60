"""NDJSON batches: read as a stream, written side by side, a result per line."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from pydantic import TypeAdapter
from starlette.exceptions import HTTPException

from headwater.access.tokens import merge_tokens
from headwater.errors import HeadwaterError
from headwater.ports.heads import Positions
from query_api.changes import token_of
from query_api.documents.addresses import Address
from query_api.documents.content import ContentStore
from query_api.documents.schemas import BatchDelete, BatchItem, BatchOutcome, BatchPatch, BatchPut, BatchResult
from query_api.documents.service import DocumentWriter, Submitted
from query_api.documents.uploads import parse_json
from query_api.error_handlers import as_api_error
from query_api.problems import ApiError, ContentTooLargeError, RequestTimeoutError
from schemas.ids import Revision, SourceId

OUTAGE: Final = 500  # statuses from here on are ours: the next line would meet the same
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


@dataclass(slots=True, kw_only=True)
class Applied:
    """What was done with a body: a result per line, and where the work stopped before the body's end."""

    results: list[BatchResult] = field(default_factory=list)
    positions: Positions = field(default_factory=dict)
    stopped: ApiError | None = None

    def add(self, result: BatchResult, submitted: Submitted | None) -> None:
        """Note a line's end."""
        self.results.append(result)
        if submitted is not None:
            self.positions = merge_tokens(self.positions, submitted.positions)

    def outcome(self) -> BatchOutcome:
        """Return what the caller is told."""
        accepted = sum(result.problem is None for result in self.results)
        return BatchOutcome(
            accepted=accepted,
            refused=len(self.results) - accepted,
            token=token_of(self.positions) if self.positions else None,
            resume_at_line=None if self.stopped is None else self._first_left(),
            results=self.results,
        )

    def _first_left(self) -> int:
        """Return the first line of which nothing is certain: what follows it may be about the same document."""
        failed = next((result.line for result in self.results if result.status >= OUTAGE), None)
        return failed or (self.results[-1].line + 1 if self.results else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWriter:
    """Applies the lines of one body. A line that is refused stops no other; an outage or a limit stops the rest.

    Repeating a batch is harmless: what is already true is dropped by admission.
    """

    writer: DocumentWriter
    store: ContentStore
    max_items: int
    max_line_bytes: int
    patience_s: float  # from the last piece of the body that arrived

    async def apply(self, body: AsyncIterable[bytes]) -> Applied:
        """Return a result per line, in order, however it ends. Lines about one document take effect in their order."""
        done = Applied()
        try:
            async with asyncio.timeout(self.patience_s) as deadline:
                await self._apply(_renewing(body, deadline, self.patience_s), done)
        except TimeoutError:
            done.stopped = RequestTimeoutError(f"body: not done within {self.patience_s:g} s")
        except ApiError as error:
            done.stopped = error
        except HTTPException as error:  # the body's own limit, met while it was read
            done.stopped = ContentTooLargeError(error.detail, field="body")
        return done

    async def _apply(self, body: AsyncIterable[bytes], done: Applied) -> None:
        async with aclosing(_windows(self._lines(body))) as windows:
            async for window in windows:
                settled = await asyncio.gather(*map(self._settle, window))
                for result, ending in settled:
                    done.add(result, ending if isinstance(ending, Submitted) else None)
                outage = next((ending for _, ending in settled if isinstance(ending, ApiError)), None)
                if outage is not None:
                    raise outage

    async def _lines(self, body: AsyncIterable[bytes]) -> AsyncIterator[Line]:
        count = number = 0
        async for raw in _split(body, max_line_bytes=self.max_line_bytes):
            number += 1
            if raw is not None and not raw.strip():
                continue
            count += 1
            if count > self.max_items:
                raise ContentTooLargeError(
                    f"body: more than {self.max_items} lines",
                    field="body",
                    remedy="Send the lines from `batch.resume_at_line` on as another batch.",
                )
            yield Line(number=number, item=self._read(raw))

    def _read(self, raw: bytes | None) -> BatchItem | ApiError:
        if raw is None:
            return ContentTooLargeError(
                f"line: more than {self.max_line_bytes} bytes", remedy="Upload this document on its own, as a file."
            )
        try:
            return parse_json(_ITEM, raw)
        except ApiError as error:
            return error

    async def _settle(self, line: Line) -> tuple[BatchResult, Submitted | ApiError | None]:
        """Return a line's result with what was submitted, or with the outage that the next lines would meet too."""
        address = line.address
        document = None if address is None else address.document_id(self.writer.tenant)
        try:
            submitted = await self._write(line, address)
        except HeadwaterError as error:
            refusal = as_api_error(error)
            problem = refusal.problem()
            result = BatchResult(line=line.number, status=problem.status, document_id=document, problem=problem)
            return result, refusal if problem.status >= OUTAGE else None
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


async def _renewing(body: AsyncIterable[bytes], deadline: asyncio.Timeout, patience_s: float) -> AsyncIterator[bytes]:
    """Hand a body on; each piece that arrives begins the waiting anew."""
    async for data in body:
        deadline.reschedule(asyncio.get_running_loop().time() + patience_s)
        yield data


async def _windows(lines: AsyncIterator[Line]) -> AsyncGenerator[list[Line], None]:
    """Group lines so that no two of a group are about the same document: within a group there is no order."""
    window: list[Line] = []
    seen: set[Address] = set()
    try:
        async for line in lines:
            address = line.address
            if len(window) == WINDOW or address in seen:
                yield window
                window, seen = [], set()
            window.append(line)
            if address is not None:
                seen.add(address)
    except (ApiError, HTTPException):  # a limit: the lines before it count
        if window:
            yield window
        raise
    if window:
        yield window


async def _split(body: AsyncIterable[bytes], *, max_line_bytes: int) -> AsyncIterator[bytes | None]:
    """Yield the lines of a stream, blank ones too; None for one that is too long, of which nothing is kept."""
    rest, skipped = b"", False
    async for data in body:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield None if skipped or len(line) > max_line_bytes else line
            skipped = False
        if len(rest) > max_line_bytes:
            rest, skipped = b"", True
    if rest or skipped:
        yield None if skipped else rest
