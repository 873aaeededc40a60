"""Cuts program text by its outline: definitions whole where they fit, else between statements; small ones together.

Splitting what is too large and joining what is small, by the syntax tree, is cAST (Zhang et al., 2025,
arXiv:2506.15655). Where to cut within a run is our own (`cutting`): cAST fills chunks from the top, so that an edit
moves every boundary behind it.
"""

import re
import string
from collections.abc import Iterator
from enum import IntEnum
from itertools import pairwise
from typing import Final

from headwater.generations.policy import ChunkPolicy
from schemas.events.chunks import Chunk, ChunkKind, embedding_text
from streams.prepare.atoms import RANKED_WINDOW, Atom, CountTokens, rank
from streams.prepare.chunking import numbered, text_hash
from streams.prepare.cutting import cut
from streams.prepare.outline import Definition, Outline, Part
from streams.prepare.parsed import Block, BlockKind
from streams.prepare.sections import bounded

_DEEPEST: Final = 40
_LINE: Final = re.compile(r"\n(?:[^\S\n]*\n)*")
_WORD: Final = re.compile(r"\s+")
_CLOSING: Final = ")]};,"  # what follows the last definition in another one, with Ruby's and Bash's words
_CLOSING_WORD: Final = re.compile(r"\b(?:end|fi|done|esac)\Z")


class _Place(IntEnum):
    """What kind of place a cut would be. Below BOUND: the depth of the statement after it."""

    BOUND = _DEEPEST + 1  # before a docstring
    PARAGRAPH = _DEEPEST + 2  # of a long comment or text
    LINE = _DEEPEST + 3
    WORD = _DEEPEST + 4
    CHARACTER = _DEEPEST + 5


def split_code(text: str, outline: Outline, policy: ChunkPolicy, count_tokens: CountTokens) -> tuple[Chunk, ...]:
    """Cut program text into chunks. Same text, policy and tokenizer, same chunks.

    Every character is in exactly one chunk, `chunk.text` is `text[start:end]`, and cuts are at the starts of lines
    unless one line does not fit. `chunk.section` is the path of the definition that the chunk is, or is in. What fits
    and what an edit changes: as `split_text` promises, without a title. Raises LimitExceededError as it does.
    """
    return numbered(_CodeSplitter(text, outline, policy, count_tokens).chunks(), policy)


class _CodeSplitter:
    """Cuts one file. Holds what every cut of it needs."""

    def __init__(self, text: str, outline: Outline, policy: ChunkPolicy, count: CountTokens) -> None:
        self._text = text
        self._outline = outline
        self._policy = policy
        self._count = count
        self._special = count("")
        self._block = Block(kind=BlockKind.CODE, start=0, end=len(text))
        self._paths: dict[tuple[str, ...], tuple[str, ...]] = {}  # cut to their budget

    def chunks(self) -> Iterator[Chunk]:
        """Yield chunks in order, all with ordinal 0. Every character is in exactly one."""
        atoms = list(self._atoms(self._outline.whole, rank(0, ""), 0))

        def fits(first: int, last: int) -> bool:
            return self._fits(atoms[first].start, atoms[last - 1].end)

        for first, last in cut(atoms, budget=self._policy.max_tokens, least=self._policy.min_tokens, fits=fits):
            yield self._chunk(atoms[first].start, atoms[last - 1].end)

    def _atoms(self, part: Part, place: int, depth: int) -> Iterator[Atom]:
        """Yield a part whole when it fits a chunk, else its inner parts, else lines, words, characters.

        Outer places rank before inner ones: a run is cut between definitions before it is cut in one of them.
        """
        if self._fits(part.start, part.end):
            yield self._atom(part.start, part.end, place)
        elif not part.inner:
            yield from self._pieces(part.start, part.end, place)
        else:
            for index, inner in enumerate(part.inner):
                kind = _Place.BOUND if inner.bound else min(depth, _DEEPEST)
                own = rank(kind, self._text[inner.key : inner.key + RANKED_WINDOW]) if index else place
                yield from self._atoms(inner, own, depth + 1)

    def _pieces(self, start: int, end: int, place: int) -> Iterator[Atom]:
        pending = [(start, end, place, _Place.PARAGRAPH)]
        while pending:
            start, end, place, finer = pending.pop()
            if end - start == 1 or self._fits(start, end):
                yield self._atom(start, end, place)
                continue
            bounds = [start, *self._places(start, end, finer), end]
            deeper = _Place(min(finer + 1, _Place.CHARACTER))
            inner = [
                (first, last, rank(finer, self._text[first : first + RANKED_WINDOW]) if index else place, deeper)
                for index, (first, last) in enumerate(pairwise(bounds))
            ]
            pending.extend(reversed(inner))

    def _places(self, start: int, end: int, kind: _Place) -> list[int]:
        if kind is _Place.CHARACTER:
            return [(start + end) // 2]
        found = (_WORD if kind is _Place.WORD else _LINE).finditer(self._text, start, end)
        blank_lines = kind is _Place.PARAGRAPH
        return [
            match.end()
            for match in found
            if start < match.end() < end and not (blank_lines and match.end() - match.start() == 1)
        ]

    def _atom(self, start: int, end: int, place: int) -> Atom:
        return Atom(start, end, self._count(self._text[start:end]) - self._special, place, self._block)

    def _fits(self, start: int, end: int) -> bool:
        if end - start > self._policy.max_bytes:  # spares counting whole files
            return False
        text = self._text[start:end]
        if len(text.encode()) > self._policy.max_bytes:
            return False
        path = self._path(self._definition(start, end))
        return self._count(embedding_text("", path, text)) <= self._policy.max_tokens

    def _chunk(self, start: int, end: int) -> Chunk:
        definition = self._definition(start, end)
        path = self._path(definition)
        text = self._text[start:end]
        return Chunk(
            ordinal=0,
            text=text,
            kind=ChunkKind.CODE,
            section=path,
            page=None,
            start=start,
            end=end,
            parent_start=min(start, definition.start) if definition is not None else 0,
            parent_end=max(end, definition.end) if definition is not None else len(self._text),
            text_hash=text_hash("", path, text),
        )

    def _definition(self, start: int, end: int) -> Definition | None:
        """Return the innermost definition that a stretch is of; what closes outer ones behind it does not count."""
        text = self._text[start:end]
        first = start + len(text) - len(text.lstrip())
        return self._outline.around(first, max(first, start + len(_without_closers(text))))

    def _path(self, definition: Definition | None) -> tuple[str, ...]:
        names = (*self._outline.module, *(definition.path if definition is not None else ()))
        if names not in self._paths:
            self._paths[names] = bounded(names, self._policy.max_context_tokens // 2, self._count)[0]
        return self._paths[names]


def _without_closers(text: str) -> str:
    while True:
        shorter = _CLOSING_WORD.sub("", text.rstrip(string.whitespace + _CLOSING))
        if shorter == text:
            return text
        text = shorter
