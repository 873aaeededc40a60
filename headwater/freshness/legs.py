"""The way of a revision in legs: how long each took, from the times that the public fact carries."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from schemas.events.documents import DocumentIngested, DocumentOp


class Leg(StrEnum):
    """From one moment of a revision's way to another."""

    OBSERVED = "observed"  # occurred at the source -> observed by us: the source's and the connector's own delay
    ADMITTED = "admitted"  # observed -> admitted
    PREPARED = "prepared"  # admitted -> prepared
    WORDS_INDEXED = "words_indexed"  # prepared -> searchable by words
    EMBEDDED = "embedded"  # prepared -> embedded
    MEANING_INDEXED = "meaning_indexed"  # embedded -> searchable by meaning
    WORDS = "words"  # observed -> searchable by words: end to end
    MEANING = "meaning"  # observed -> searchable by meaning: end to end
    WORDS_FROM_SOURCE = "words_from_source"  # occurred -> searchable by words
    MEANING_FROM_SOURCE = "meaning_from_source"  # occurred -> searchable by meaning
    REMOVED = "removed"  # a deletion, observed -> gone from both stores; the gate hides it long before


ENDS: Final[Mapping[Leg, tuple[str, str]]] = {
    Leg.OBSERVED: ("occurred_at", "observed_at"),
    Leg.ADMITTED: ("observed_at", "admitted_at"),
    Leg.PREPARED: ("admitted_at", "prepared_at"),
    Leg.WORDS_INDEXED: ("prepared_at", "searchable_by_words_at"),
    Leg.EMBEDDED: ("prepared_at", "embedded_at"),
    Leg.MEANING_INDEXED: ("embedded_at", "searchable_by_meaning_at"),
    Leg.WORDS: ("observed_at", "searchable_by_words_at"),
    Leg.MEANING: ("observed_at", "searchable_by_meaning_at"),
    Leg.WORDS_FROM_SOURCE: ("occurred_at", "searchable_by_words_at"),
    Leg.MEANING_FROM_SOURCE: ("occurred_at", "searchable_by_meaning_at"),
}


def legs(fact: DocumentIngested) -> Mapping[Leg, int]:
    """Return how long each leg took, in whole milliseconds; a leg of which one end is not known is left out.

    The clocks of two hosts may disagree: a leg that ended before it began took no time.
    """
    if fact.op is DocumentOp.DELETED:
        return {Leg.REMOVED: fact.freshness_ms}
    moments = {leg: (_moment(fact, begin), _moment(fact, end)) for leg, (begin, end) in ENDS.items()}
    return {
        leg: max(0, round((end - begin).total_seconds() * 1_000))
        for leg, (begin, end) in moments.items()
        if begin is not None and end is not None
    }


def _moment(fact: DocumentIngested, name: str) -> datetime | None:
    moment: datetime | None = getattr(fact, name)
    return moment
