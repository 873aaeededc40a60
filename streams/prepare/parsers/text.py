"""Plain text: paragraphs are what blank lines part."""

import re

from headwater.content.media_types import MediaType
from streams.prepare.canonical import normalise
from streams.prepare.decoding import decode_text
from streams.prepare.errors import EmptyDocumentError
from streams.prepare.parsed import Block, BlockKind, ParsedText

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


def parse_text(data: bytes) -> ParsedText:
    """Return the text as it is, normalised. Raises EmptyDocumentError when there is nothing but space."""
    text = normalise(decode_text(data))
    blocks = tuple(paragraph_blocks(text))
    if not blocks:
        raise EmptyDocumentError("the text file is empty: check that the right file was sent")
    return ParsedText(text=text, blocks=blocks, media_type=MediaType.TEXT, title="")


def paragraph_blocks(text: str, *, offset: int = 0) -> list[Block]:
    """Return the paragraphs of a normalised text, their offsets moved by `offset`."""
    blocks = []
    position = 0
    for gap in [*(match.span() for match in _BLANK_LINES.finditer(text)), (len(text), len(text))]:
        stretch = text[position : gap[0]]
        start = position + len(stretch) - len(stretch.lstrip())
        end = position + len(stretch.rstrip())
        if start < end:
            blocks.append(Block(kind=BlockKind.PARAGRAPH, start=start + offset, end=end + offset))
        position = gap[1]
    return blocks
