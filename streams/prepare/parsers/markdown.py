"""Markdown: the canonical text is the source itself without its front matter; markdown-it tells where blocks lie.

A page that is nothing but front matter, as redirects are, keeps it as its text.
"""

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate
from typing import Any

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
    references: dict[str, Any] = {}  # link definitions: a heading may use one
    tokens = _block_parser().parse(text, references)
    offsets = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    found = []
    for index, token in _outer(tokens):
        block = _block(text, token, offsets)
        if block.kind is BlockKind.HEADING:
            words = _words(_inline_parser().parseInline(tokens[index + 1].content, references))
            block = replace(block, level=int(token.tag[1:]), heading=one_line("".join(words)))
        if block.end > block.start:
            found.append(block)
    return tuple(_with_gaps(text, found))


@cache
def _block_parser() -> MarkdownIt:
    """Return a parser that leaves the insides of blocks alone: half of its work, and only headings need it."""
    return MarkdownIt("commonmark").enable("table").disable("inline")


@cache
def _inline_parser() -> MarkdownIt:
    return MarkdownIt("commonmark")


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


def _block(text: str, token: Token, offsets: Sequence[int]) -> Block:
    first, last = token.map or [0, 0]
    last = min(last, len(offsets) - 1)
    start, end = offsets[min(first, last)], offsets[last]
    stretch = text[start:end]
    lead = len(stretch) - len(stretch.lstrip("\n" if token.type == "code_block" else None))
    return Block(kind=_KINDS[token.type], start=start + lead, end=start + max(lead, len(stretch.rstrip())))


def _words(parsed: Sequence[Token]) -> Iterator[str]:
    for token in (child for inline in parsed for child in inline.children or []):
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
