"""multipart/form-data as a stream: a part's data is handed on as it arrives, whatever its size (RFC 7578)."""

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from query_api.problems import MalformedBodyError, UnsupportedBodyError

MAX_PARTS = 16
MAX_PART_HEADER_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part. `data` must be read before the next part is asked for; what is left of it is skipped."""

    name: str
    file_name: str | None
    content_type: str | None
    data: AsyncIterator[bytes]


def multipart_parts(content_type: str, body: AsyncIterable[bytes]) -> AsyncIterator[Part]:
    """Yield the parts of a body as they arrive. Raise UnsupportedBodyError or MalformedBodyError."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise UnsupportedBodyError("Content-Type: not multipart/form-data with a boundary", field="Content-Type")
    return _Reader(boundary, body).parts()


class _Reader:
    """Turns the parser's callbacks into a queue of what happened, at most one network read long."""

    def __init__(self, boundary: bytes, body: AsyncIterable[bytes]) -> None:
        self._body = aiter(body)
        self._seen: deque[dict[str, str] | bytes | None] = deque()  # a part's headers, its data, None at its end
        self._headers: dict[str, str] = {}
        self._name = self._value = b""
        self._complete = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._headers_begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": lambda: self._seen.append(self._headers),
                "on_part_data": lambda data, start, end: self._seen.append(data[start:end]),
                "on_part_end": lambda: self._seen.append(None),
                "on_end": self._end,
            },
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    async def parts(self) -> AsyncIterator[Part]:
        count = 0
        while await self._fill():
            headers = self._seen.popleft()
            if not isinstance(headers, dict):
                continue  # data of a part that nobody finished reading
            count += 1
            if count > MAX_PARTS:
                raise MalformedBodyError(f"body: more than {MAX_PARTS} parts")
            yield _part(headers, self._data())

    async def _data(self) -> AsyncIterator[bytes]:
        while await self._fill():
            data = self._seen.popleft()
            if not isinstance(data, bytes):
                return
            yield data

    async def _fill(self) -> bool:
        """Read until something is there to take; say whether there is."""
        while not self._seen:
            piece = await anext(self._body, None)
            if piece is None:
                if not self._complete:
                    raise MalformedBodyError("body: ends before its last boundary")
                return False
            try:
                self._parser.write(piece)
            except FormParserError as error:
                raise MalformedBodyError("body: not well-formed multipart/form-data") from error
        return True

    def _headers_begin(self) -> None:
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("utf-8", "replace")
        self._name = self._value = b""

    def _end(self) -> None:
        self._complete = True


def _part(headers: dict[str, str], data: AsyncIterator[bytes]) -> Part:
    _, options = parse_options_header(headers.get("content-disposition"))
    file_name = options.get(b"filename")
    return Part(
        name=options.get(b"name", b"").decode("utf-8", "replace"),
        file_name=None if file_name is None else file_name.decode("utf-8", "replace"),
        content_type=headers.get("content-type"),
        data=data,
    )
