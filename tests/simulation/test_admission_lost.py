"""Admission that loses positions and heads after a compaction judges everything again and changes nothing.

No story of the standard run does that: it takes two losses at once. What was refused is refused again and audited under
the same event id: a refusal leaves no other trace.
"""

import re

import pytest

from streams.admit.outcomes import DocumentHead
from tests.simulation.run import simulate
from tests.simulation.steps import SPAN_S, Step
from tests.simulation.story import tell

SEEDS = range(12)
_AUDITED_AGAIN = re.compile(r"\(c\) \w+ of .+: ended [2-9] times")


def violations_after_the_loss(seed: int) -> list[str]:
    """Tell a seed's story, then compact the log, lose both workers' heads and set their group back."""
    steps = tell(seed)
    at_s = max(SPAN_S, *(step.at_s for step in steps)) + 4.0
    lost = [Step(at_s=at_s + 0.1, do="lose_disk", what={"worker": f"admit-{slot}"}) for slot in range(2)]
    loss = [Step(at_s=at_s, do="compact"), *lost, Step(at_s=at_s + 0.2, do="rewind", what={"group": "admit"})]
    return [each for each in simulate(seed, [*steps, *loss]).violations if not _AUDITED_AGAIN.fullmatch(each)]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_settled_in_either_lane_stays_settled(seed: int) -> None:
    assert violations_after_the_loss(seed) == []


def test_it_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that name their own submission alone, as they did before version 2, bring old states back."""
    monkeypatch.setattr(DocumentHead, "naming_submissions", lambda head: head.record)
    assert any("its submission was admitted before" in each for each in violations_after_the_loss(SEEDS[0]))
