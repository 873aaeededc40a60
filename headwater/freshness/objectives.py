"""Objectives, and whether they are met. Error budgets and burn rates as in Google's SRE Workbook, chapter 5."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from headwater.settings import FreshnessSettings
from schemas.events.canaries import CanaryStep

PERCENT: Final = 95  # of the events must be within the target: the objective is a 95th percentile


class Promise(StrEnum):
    """What is promised of a live edit."""

    WORDS = "words"  # found by words
    MEANING = "meaning"  # found by meaning
    HIDDEN = "hidden"  # revoked or deleted: no longer found


class View(StrEnum):
    """Who measured."""

    DOCUMENTS = "documents"  # live revisions, as the stages stamped them
    CANARY = "canary"  # a caller from outside: it also sees what never arrives


# What the canary sees of each promise. A grant is measured too, but nothing is promised of what is shown again.
STEPS: Final[Mapping[CanaryStep, Promise]] = {
    CanaryStep.FOUND_BY_WORDS: Promise.WORDS,
    CanaryStep.EDIT_FOUND_BY_WORDS: Promise.WORDS,
    CanaryStep.FOUND_BY_MEANING: Promise.MEANING,
    CanaryStep.EDIT_FOUND_BY_MEANING: Promise.MEANING,
    CanaryStep.REVOKED_HIDDEN: Promise.HIDDEN,
    CanaryStep.DELETED_HIDDEN: Promise.HIDDEN,
}


def targets(settings: FreshnessSettings) -> Mapping[Promise, int]:
    """Return what is promised, in milliseconds."""
    return {
        Promise.WORDS: settings.words_ms,
        Promise.MEANING: settings.meaning_ms,
        Promise.HIDDEN: settings.hidden_ms,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Events of a period, and how many of them kept the promise. One that never came to its end did not."""

    total: int = 0
    within: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        """Add up tallies of the same promise."""
        return Tally(total=self.total + other.total, within=self.within + other.within)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a promise was kept; all None where nothing happened."""

    met: bool | None
    burn_rate: float | None  # 1: the whole budget is used up just at the end of the period; 20: nothing is within
    error_budget_left: float | None  # share of the period's budget; below 0: overspent


def judge(tally: Tally) -> Verdict:
    """Judge one tally: the budget is the share of events that may be late."""
    if tally.total == 0:
        return Verdict(met=None, burn_rate=None, error_budget_left=None)
    late = tally.total - tally.within
    burn_rate = late * 100 / (tally.total * (100 - PERCENT))
    return Verdict(
        met=tally.within * 100 >= tally.total * PERCENT,
        burn_rate=burn_rate,
        error_budget_left=1.0 - burn_rate,
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return what holds for a promise that several views judge: it is kept when each of them that saw anything says so.

    Adding the views up instead would drown the canary's few failures in many documents that went well earlier.
    """
    judged = [verdict for verdict in verdicts if verdict.burn_rate is not None]
    return max(judged, key=_burn_rate, default=Verdict(met=None, burn_rate=None, error_budget_left=None))


def _burn_rate(verdict: Verdict) -> float:
    return verdict.burn_rate or 0.0
