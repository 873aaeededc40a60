"""Markdown: the canonical text is the source itself without its front matter; markdown-it tells where blocks lie.

A page that is nothing but front matter, as redirects are, keeps it as its text.
"""

import html
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from headwater.content.media_types import MediaType
from streams.prepare.canonical import normalise, one_line, short_title
from streams.prepare.decoding import decode_text
from streams.prepare.errors import EmptyDocumentError
from streams.prepare.parsed import Block, BlockKind, ParsedText
from streams.prepare.parsers.text import paragraph_blocks

_FRONT_MATTER = re.compile(r"\A\s*---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_KINDS = {
    "paragraph_open": BlockKind.PARAGRAPH,
    "heading_open": BlockKind.HEADING,
    "list_item_open": BlockKind.LIST_ITEM,
    "table_open": BlockKind.TABLE,
    "fence": BlockKind.CODE,
    "code_block": BlockKind.CODE,
    "blockquote_open": BlockKind.PARAGRAPH,
    "html_block": BlockKind.PARAGRAPH,
}
_ITEM_LEVEL = 1  # items of a top list stand one level below it; deeper ones belong to their item


def parse_markdown(data: bytes) -> ParsedText:
    """Return the source with its headings, paragraphs, list items, tables and code. Raises EmptyDocumentError."""
    source = normalise(decode_text(data))
    front, body = _split_front_matter(source)
    blocks = markdown_blocks(body) or tuple(paragraph_blocks(body))
    if not blocks:
        raise EmptyDocumentError("the Markdown file is empty: check that the right file was sent")
    first_heading = next((block.heading for block in blocks if block.level == 1), "")
    return ParsedText(
        text=body,
        blocks=blocks,
        media_type=MediaType.MARKDOWN,
        title=short_title(html.unescape(_text_field(front, "title"))) or short_title(first_heading),
        language=_text_field(front, "lang") or _text_field(front, "language") or None,
    )


def markdown_blocks(text: str) -> tuple[Block, ...]:
    """Return the blocks of a normalised Markdown text. What Markdown gives no token to is kept as paragraphs."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    offsets = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    found = [_block(text, token, tokens[index + 1 : index + 2], offsets) for index, token in _outer(tokens)]
    return tuple(_with_gaps(text, [block for block in found if block.end > block.start]))


def _split_front_matter(source: str) -> tuple[dict[str, object], str]:
    match = _FRONT_MATTER.match(source)
    if not match:
        return {}, source.lstrip("\n")
    body = source[match.end() :].lstrip("\n") or match.group(1)
    try:
        fields = yaml.safe_load(match.group(1))
    except (yaml.YAMLError, ValueError, RecursionError):  # a stray colon in a title: the text is still good
        return {}, body
    return (fields, body) if isinstance(fields, dict) else ({}, body)


def _text_field(front: dict[str, object], name: str) -> str:
    value = front.get(name)
    return value if isinstance(value, str) else ""


def _outer(tokens: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """Yield tokens that become blocks: those of the document's own level, and the items of its own lists."""
    for index, token in enumerate(tokens):
        is_item = token.type == "list_item_open" and token.level == _ITEM_LEVEL
        if token.type in _KINDS and token.map and (token.level == 0 or is_item):
            yield index, token


def _block(text: str, token: Token, after: Sequence[Token], offsets: Sequence[int]) -> Block:
    first, last = token.map or [0, 0]
    last = min(last, len(offsets) - 1)
    start, end = offsets[min(first, last)], offsets[last]
    stretch = text[start:end]
    lead = len(stretch) - len(stretch.lstrip("\n" if token.type == "code_block" else None))
    kind = _KINDS[token.type]
    is_heading = kind is BlockKind.HEADING
    return Block(
        kind=kind,
        start=start + lead,
        end=start + max(lead, len(stretch.rstrip())),
        level=int(token.tag[1:]) if is_heading else 0,
        heading=one_line("".join(_words(after[0].children or []))) if is_heading and after else "",
    )


def _words(inline: Sequence[Token]) -> Iterator[str]:
    for token in inline:
        if token.type in {"text", "code_inline", "image"}:
            yield token.content
        elif token.type in {"softbreak", "hardbreak"}:
            yield " "


def _with_gaps(text: str, blocks: Sequence[Block]) -> Iterator[Block]:
    """Fill in paragraphs for text outside all blocks: rules, link definitions."""
    position = 0
    for block in blocks:
        yield from paragraph_blocks(text[position : block.start], offset=position)
        yield block
        position = block.end
    yield from paragraph_blocks(text[position:], offset=position)
