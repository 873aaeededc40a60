"""Which words of a passage answer to the query. Made here, so that citations survive the loss of either store."""

import re
from dataclasses import dataclass
from typing import Final

from Stemmer import Stemmer

_WORD: Final = re.compile(r"\w+")
# Porter's English stemmer, as the keyword index stems; words of other languages keep nearly all of their letters.
_STEMMER: Final = Stemmer("english")
SNIPPET_CHARS: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlight:
    """A window of a passage and the spans in it, as character offsets into the snippet, end exclusive."""

    snippet: str
    spans: tuple[tuple[int, int], ...]


def highlight(text: str, query: str) -> Highlight:
    """Return the window of at most SNIPPET_CHARS with most of the query's words, and where they stand in it."""
    stems = {_stem(word.group()) for word in _WORD.finditer(query)}
    spans = [word.span() for word in _WORD.finditer(text) if _stem(word.group()) in stems]
    start = _window_start(text, spans)
    end = min(len(text), start + SNIPPET_CHARS)
    inside = tuple((low - start, high - start) for low, high in spans if low >= start and high <= end)
    return Highlight(snippet=text[start:end], spans=inside)


def _stem(word: str) -> str:
    return str(_STEMMER.stemWord(word.casefold()))


def _window_start(text: str, spans: list[tuple[int, int]]) -> int:
    """Start at the span whose window holds most spans, and at a word's beginning a little before it."""
    if len(text) <= SNIPPET_CHARS or not spans:
        return 0
    best, most = 0, 0
    last = 0
    for first, (low, _) in enumerate(spans):
        while last < len(spans) and spans[last][1] <= low + SNIPPET_CHARS:
            last += 1
        if last - first > most:
            best, most = low, last - first
    lead = max(0, min(best - SNIPPET_CHARS // 8, len(text) - SNIPPET_CHARS))
    space = text.rfind(" ", 0, lead + 1)
    return space + 1 if lead and space >= 0 else lead
