"""A round as a state machine: what is asked, what must be seen of it, and what can be concluded. Pure."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

from schemas.events.canaries import CanaryStep


class Change(StrEnum):
    """What a move asks of the API."""

    WRITE_FIRST = "write_first"
    WRITE_SECOND = "write_second"
    REVOKE = "revoke"  # takes the witness out of the access rule
    GRANT = "grant"  # puts the witness back
    DELETE = "delete"


class Edition(StrEnum):
    """Which of the round's two texts."""

    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the witness, who may read and not write, must come to see."""

    step: CanaryStep
    mode: Literal["keyword", "vector", "hybrid"]
    shown: Edition | None  # None: the document must not be found at all
    gone: Edition | None = None  # an edition that must not be found any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A request, and all that is to be seen of it. The looks go on side by side: each is timed from the request."""

    step: CanaryStep
    change: Change
    looks: tuple[Look, ...]


PLAN: Final = (
    Move(
        step=CanaryStep.WRITE,
        change=Change.WRITE_FIRST,
        looks=(
            Look(step=CanaryStep.FOUND_BY_WORDS, mode="keyword", shown=Edition.FIRST),
            Look(step=CanaryStep.FOUND_BY_MEANING, mode="vector", shown=Edition.FIRST),
        ),
    ),
    Move(
        step=CanaryStep.EDIT,
        change=Change.WRITE_SECOND,
        looks=(
            Look(step=CanaryStep.EDIT_FOUND_BY_WORDS, mode="keyword", shown=Edition.SECOND, gone=Edition.FIRST),
            Look(step=CanaryStep.EDIT_FOUND_BY_MEANING, mode="vector", shown=Edition.SECOND, gone=Edition.FIRST),
        ),
    ),
    Move(
        step=CanaryStep.REVOKE,
        change=Change.REVOKE,
        looks=(Look(step=CanaryStep.REVOKED_HIDDEN, mode="hybrid", shown=None),),
    ),
    Move(
        step=CanaryStep.GRANT,
        change=Change.GRANT,
        looks=(Look(step=CanaryStep.GRANTED_FOUND, mode="hybrid", shown=Edition.SECOND),),
    ),
    Move(
        step=CanaryStep.DELETE,
        change=Change.DELETE,
        looks=(Look(step=CanaryStep.DELETED_HIDDEN, mode="hybrid", shown=None),),
    ),
)
_NEEDS_A_DOCUMENT: Final = frozenset({Change.REVOKE, Change.GRANT, Change.DELETE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known in the middle of a round."""

    exists: bool = False  # a write was accepted
    visible: bool = False  # the witness has seen the document, and nothing since says otherwise


def can_ask(move: Move, standing: Standing) -> bool:
    """Say whether the request makes sense: there is nothing to revoke, grant or delete without a document."""
    return standing.exists or move.change not in _NEEDS_A_DOCUMENT


def can_conclude(look: Look, standing: Standing) -> bool:
    """Say whether the look proves anything: that a document is hidden only shows where it was seen before."""
    return look.shown is not None or standing.visible


def accepted(move: Move, standing: Standing) -> Standing:
    """Return what is known once the API has accepted the request."""
    return replace(standing, exists=standing.exists or move.change not in _NEEDS_A_DOCUMENT)


def seen(move: Move, passed: Collection[CanaryStep], standing: Standing) -> Standing:
    """Return what is known after the looks of a move. A failed look changes nothing: what was seen may still be."""
    for look in move.looks:
        if look.step in passed:
            standing = replace(standing, visible=look.shown is not None)
    return standing
