"""Which sentences of the passages answer a question. Scores come from the reranker; here is what is made of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Where the score of the best sentence is lower, the passages are taken not to answer. Chosen on half of the questions
# of SQuAD 2's sample; docs/models.md says what it does on the other half.
LEAST_EVIDENCE: Final = 0.55
# A second sentence is quoted too when it is nearly as good as the best one.
NEAR_BEST: Final = 0.97
MAX_SENTENCES: Final = 2
LEAST_WORDS: Final = 3  # a heading or a stray number answers nothing by itself

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])|\n{2,}|\n(?=[-*#|>]|\d+\.)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A verbatim piece of a passage."""

    text: str
    passage: int  # 0-based


@dataclass(frozen=True, slots=True)
class Extract:
    """Sentences quoted as the answer, in their passages' order; none where the evidence is weak."""

    answer: str
    passages: tuple[int, ...]

    @property
    def answerable(self) -> bool:
        """Whether anything is quoted."""
        return bool(self.passages)


NOTHING: Final = Extract("", ())


def sentences_of(passages: Sequence[str]) -> list[Sentence]:
    """Cut passages into sentences and list items, each a verbatim substring of its passage."""
    pieces = ((number, piece.strip()) for number, text in enumerate(passages) for piece in _END.split(text) if piece)
    return [Sentence(piece, number) for number, piece in pieces if len(piece.split()) >= LEAST_WORDS]


def extract(sentences: Sequence[Sentence], scores: Sequence[float]) -> Extract:
    """Quote the best sentences, or nothing where even the best one is weak."""
    ranked = sorted(zip(scores, range(len(sentences)), strict=True), key=lambda pair: (-pair[0], pair[1]))
    if not ranked or ranked[0][0] < LEAST_EVIDENCE:
        return NOTHING
    best = ranked[0][0]
    chosen = sorted(index for score, index in ranked[:MAX_SENTENCES] if score >= NEAR_BEST * best)
    quoted = dict.fromkeys(sentences[index].text for index in chosen)
    return Extract(" ".join(quoted), tuple(dict.fromkeys(sentences[index].passage for index in chosen)))
