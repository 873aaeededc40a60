"""Atoms: the smallest stretches a text is cut at, each with the rank of the place before it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import TypeAlias

from streams.prepare.parsed import Block, BlockKind

CountTokens: TypeAlias = Callable[[str], int]  # tokens of a text as the model reads it, special tokens included

_WIDE_STOPS = "\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH EXCLAMATION MARK}\N{FULLWIDTH QUESTION MARK}"
_SENTENCE_END = re.compile(rf"(?<=[.!?])\s+|(?<=[.!?][\"')\]])\s+|(?<=[{_WIDE_STOPS}])")
_COLONS = ":\N{FULLWIDTH COLON}"
_WORDS = re.compile(r"\s+")
_LINES = re.compile(r"\n\s*")
_RANKED_CHARS = 48  # a place is ranked by the words after it: an edit further on leaves it where it is
RANKED_WINDOW = 2 * _RANKED_CHARS  # of the text as it stands, with its spaces


class Place(IntEnum):
    """What kind of place a cut would be, best first."""

    BLOCK = 0
    ITEM = 1  # between items of one list
    INTRODUCED = 2  # between a list, a table or code and the sentence that announces it
    LINE = 3
    SENTENCE = 4
    WORD = 5
    CHARACTER = 6


@dataclass(frozen=True, slots=True)
class Atom:
    """A stretch [start, end) of the canonical text that fits a chunk."""

    start: int
    end: int
    tokens: int  # without special tokens
    rank: int  # of the place before it: the lower, the sooner it is cut there
    block: Block


def atoms_of(text: str, block: Block, *, before: Block | None, budget: int, count: CountTokens) -> Iterator[Atom]:
    """Yield a block as one atom when it fits `budget` tokens, else its lines, sentences, words or characters."""
    yield from _pieces(text, (block.start, block.end), _place(text, block, before), block, budget, count)


def rank(place: int, words: str) -> int:
    """Return the rank of a place: by its kind, then by a hash of the words after it, so that it moves with them."""
    digest = blake2b(_WORDS.sub(" ", words[:RANKED_WINDOW])[:_RANKED_CHARS].encode(), digest_size=4).digest()
    return place << 32 | int.from_bytes(digest, "big")


def _place(text: str, block: Block, before: Block | None) -> Place:
    if before is None:
        return Place.BLOCK
    if block.kind is BlockKind.LIST_ITEM and before.kind is BlockKind.LIST_ITEM:
        return Place.ITEM
    announces = before.kind is BlockKind.PARAGRAPH and text[before.end - 1] in _COLONS
    return Place.INTRODUCED if announces and block.kind is not BlockKind.PARAGRAPH else Place.BLOCK


def _pieces(
    text: str, span: tuple[int, int], place: Place, block: Block, budget: int, count: CountTokens
) -> Iterator[Atom]:
    """Yield a span whole or cut at its largest kind of inner place. The first piece keeps the span's own place."""
    pending = [(span, place, Place.LINE)]
    while pending:
        (start, end), own, finer = pending.pop()
        tokens = count(text[start:end])
        if tokens <= budget or end - start == 1:
            yield Atom(start, end, tokens, rank(own, text[start : start + RANKED_WINDOW]), block)
            continue
        parts = _parts(text, start, end, finer)
        deeper = Place(finer + 1) if finer < Place.CHARACTER else finer
        inner = [(part, finer if index else own, deeper) for index, part in enumerate(parts)]
        pending.extend(reversed(inner))


def _parts(text: str, start: int, end: int, kind: Place) -> list[tuple[int, int]]:
    if kind is Place.CHARACTER:
        middle = (start + end) // 2
        return [(start, middle), (middle, end)]
    separator = {Place.LINE: _LINES, Place.SENTENCE: _SENTENCE_END, Place.WORD: _WORDS}[kind]
    parts = []
    position = start
    for match in separator.finditer(text, start, end):
        if position < match.start():
            parts.append((position, match.start()))
        position = match.end()
    if position < end:
        parts.append((position, end))
    return parts
