"""A parsed document: one canonical text and the blocks it is made of. What parsers return and the chunker cuts."""

from dataclasses import dataclass
from enum import StrEnum

from streams.prepare.outline import Outline


class BlockKind(StrEnum):
    """What a stretch of text is in its document."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE = "table"
    CODE = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch [start, end) of the canonical text. Blocks are in order and never overlap; between them is only space.

    A table's first line is its header; a second line of dashes, where there is one, belongs to the header.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0  # headings: 1 is the outermost
    heading: str = ""  # headings: their words without markup
    page: int | None = None  # 1-based, where the format has pages


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedText:
    """A document as text: NFC, lines end in a line feed, no control characters."""

    text: str
    blocks: tuple[Block, ...]
    media_type: str  # found in the content
    title: str  # the content's own, or empty: never the metadata's
    language: str | None = None  # where the content declares it
    outline: Outline | None = None  # program text: it is cut by this, and the blocks are those of plain text
