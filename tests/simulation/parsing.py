"""The pool of parser processes: the real parsers of texts, the real joining of page ranges and the real chunker."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from headwater.generations.policy import ChunkPolicy
from streams.prepare.errors import HeavyDocumentError
from streams.prepare.limits import ParserLimits
from streams.prepare.pages import PageRange, join_ranges, load_range
from streams.prepare.parsed import BlockKind
from streams.prepare.parsers.markdown import parse_markdown
from streams.prepare.parsers.text import parse_text
from streams.prepare.prepared import Prepared, prepare
from tests.simulation.process import CURRENT, WORLD, call

DEADLY: Final = b"this document kills its parser's stage"
PAGED: Final = b"%PAGES\n"  # begins a content that stands for a PDF; what follows are pages between form feeds
HEADED: Final = b"# "  # begins Markdown
_PAGED_TYPE: Final = "application/pdf"


class SimParserPool:
    """Does in memory what a pool of processes does: a call takes a while, and whoever waits for it may die."""

    def __init__(self, policy: ChunkPolicy, limits: ParserLimits) -> None:
        self._policy, self._heavy_pages = policy, limits.heavy_pages

    async def prepare(self, content: bytes | Path, **_: object) -> Prepared:
        data = content if isinstance(content, bytes) else content.read_bytes()
        if DEADLY in data:
            CURRENT.get().kill()
        if self._heavy_pages is not None and len(_pages(data)) > self._heavy_pages:
            raise HeavyDocumentError(f"more than {self._heavy_pages} pages")
        return await call(lambda: prepared_text(data, self._policy))

    async def read_pages(self, content: Path, *, first: int, count: int, **_: object) -> bytes | None:
        """Read one range; None for a text without pages, which is parsed whole, in its own lane."""
        data = content.read_bytes()
        if not data.startswith(PAGED):
            return None
        world = WORLD.get()
        world.ranges_read.append((world.processes.index(CURRENT.get()), first))
        return await call(lambda: _range(data, first, count).dump())

    async def join(self, ranges: Sequence[bytes]) -> Prepared:
        whole = tuple(ranges)
        return await call(lambda: _joined(whole, self._policy))

    async def rest(self) -> None:
        """Nothing is kept."""


@lru_cache(maxsize=4096)
def prepared_text(data: bytes, policy: ChunkPolicy) -> Prepared:
    """Parse and cut; the same bytes give the same, so it is done once for all runs. Raises as the parser does."""
    if data.startswith(PAGED):
        return prepare(join_ranges([_range(data, 0, len(data))]), policy, _count_tokens)
    return prepare((parse_markdown if data.startswith(HEADED) else parse_text)(data), policy, _count_tokens)


@lru_cache(maxsize=256)
def _joined(ranges: tuple[bytes, ...], policy: ChunkPolicy) -> Prepared:
    return prepare(join_ranges([load_range(each) for each in ranges]), policy, _count_tokens)


def _range(data: bytes, first: int, count: int) -> PageRange:
    pages = _pages(data)
    blocks = tuple(
        (BlockKind.PARAGRAPH, text, page) for page, text in enumerate(pages[first : first + count], start=first + 1)
    )
    return PageRange(media_type=_PAGED_TYPE, title="", total=len(pages), blocks=blocks)


def _pages(data: bytes) -> list[str]:
    return data.removeprefix(PAGED).decode().split("\f") if data.startswith(PAGED) else []


def _count_tokens(text: str) -> int:
    return 2 + 8 * len(text.split())
