"""Sections: the stretches between headings, with the path of headings that leads to each."""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.prepare.atoms import CountTokens
from streams.prepare.canonical import one_line
from streams.prepare.parsed import Block, BlockKind, ParsedText

_SEPARATOR = " > "  # as `embedding_text` joins a path


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Blocks under one heading, up to the next heading of any level."""

    path: tuple[str, ...]  # cut to the budget of the policy, the innermost headings first to stay
    body: tuple[Block, ...]  # begins with the heading itself where no path carries its words
    start: int
    end: int


def sections_of(parsed: ParsedText, *, path_tokens: int, count: CountTokens) -> list[Section]:
    """Return the sections that have something to say, in order. Every heading is in a path or in a body."""
    grouped = _grouped(parsed.blocks)
    carried: set[int] = set()  # offsets of the headings that a path carries whole
    found = []
    for index in reversed(range(len(grouped))):  # a heading's subsections come after it, and may carry its words
        trail, body = grouped[index]
        path, whole = _bounded(trail, path_tokens, count)
        heading = trail[-1] if trail else None
        if body:
            carried |= whole
        if heading and heading.start not in carried:
            carried |= whole
            body = [heading, *body]
        if body:
            start = heading.start if heading else body[0].start
            found.append(Section(path=path, body=tuple(body), start=start, end=body[-1].end))
    return found[::-1]


def fit_words(text: str, max_tokens: int, count: CountTokens) -> str:
    """Return leading words of a text, on one line, that fit a budget; of a single long word, its beginning."""
    words = one_line(text).split(" ")
    while words and count(" ".join(words)) > max_tokens:
        words = words[: len(words) // 2] if len(words) > 1 else [words[0][: len(words[0]) // 2]]
    return " ".join(words)


def _grouped(blocks: Sequence[Block]) -> list[tuple[tuple[Block, ...], list[Block]]]:
    groups: list[tuple[tuple[Block, ...], list[Block]]] = [((), [])]
    for block in blocks:
        if block.kind is BlockKind.HEADING:
            outer = tuple(heading for heading in groups[-1][0] if heading.level < block.level)
            groups.append(((*outer, block), []))
        else:
            groups[-1][1].append(block)
    return groups


def _bounded(trail: Sequence[Block], max_tokens: int, count: CountTokens) -> tuple[tuple[str, ...], set[int]]:
    """Return the headings that fit, and the offsets of those that stay whole."""
    path, whole = bounded([heading.heading for heading in trail], max_tokens, count)
    return path, {trail[index].start for index in whole}


def bounded(names: Sequence[str], max_tokens: int, count: CountTokens) -> tuple[tuple[str, ...], set[int]]:
    """Return the names that fit, from the innermost outwards, and the places in `names` of those that stay whole."""
    if not names or count(_SEPARATOR.join(names)) <= max_tokens:
        return tuple(names), set(range(len(names)))
    path: list[str] = []
    whole: set[int] = set()
    for index in reversed(range(len(names))):
        if count(_SEPARATOR.join([names[index], *path])) <= max_tokens:
            path.insert(0, names[index])
            whole.add(index)
        elif not path:
            path.insert(0, fit_words(names[index], max_tokens, count))
        else:
            break
    return tuple(part for part in path if part), whole
