"""A range of a paged document's pages: read apart from the others, joined to the same text as if read at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from streams.prepare.canonical import TextBuilder
from streams.prepare.parsed import BlockKind, ParsedText


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRange:
    """What some consecutive pages hold, and what each range says of the whole."""

    media_type: str
    title: str
    total: int  # pages of the whole document
    blocks: tuple[tuple[BlockKind, str, int], ...]  # kind, text, page counted from 1

    def dump(self) -> bytes:
        """Return the form for the cache and for pipes."""
        return json.dumps([self.media_type, self.title, self.total, self.blocks], ensure_ascii=False).encode()


def load_range(data: bytes) -> PageRange:
    """Read what `dump` wrote. Raises ValueError for anything else: a cache entry to drop."""
    try:
        media_type, title, total, blocks = json.loads(data)
        return PageRange(
            media_type=media_type,
            title=title,
            total=int(total),
            blocks=tuple((BlockKind(kind), str(text), int(page)) for kind, text, page in blocks),
        )
    except (TypeError, ValueError) as error:
        raise ValueError("the cache entry is no page range: drop it") from error


def join_ranges(ranges: Sequence[PageRange]) -> ParsedText:
    """Return the whole document; `ranges` are all of its pages in order. Raises EmptyDocumentError."""
    builder = TextBuilder()
    for each in ranges:
        for kind, text, page in each.blocks:
            builder.add(kind, text, page=page)
    return builder.build(media_type=ranges[0].media_type, title=ranges[0].title)
