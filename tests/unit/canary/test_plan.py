"""What a round concludes, whatever fails on the way."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.canary.documents import Probe, is_as_wanted, new_marks, probes, query_of, text_of
from headwater.canary.plan import PLAN, Change, Edition, Look, Standing, accepted, can_ask, can_conclude, seen
from headwater.canary.walk import NOT_SEEN, CallFailedError, Walker
from headwater.clients.kafka.murmur2 import partition_of
from schemas.events.canaries import CanaryOutcome, CanaryStep, StepMeasured
from schemas.ids import TenantId, document_key

TENANT = TenantId("headwater-canary")
PROBE = probes(TENANT, 1)[0]
PASSED, FAILED, SKIPPED = CanaryOutcome.PASSED, CanaryOutcome.FAILED, CanaryOutcome.SKIPPED


def test_every_step_is_in_the_plan_once_and_in_order() -> None:
    steps = [step for move in PLAN for step in (move.step, *(look.step for look in move.looks))]
    assert steps == list(CanaryStep)


@pytest.mark.parametrize("partitions", [1, 4, 24])
def test_every_partition_has_a_document_and_it_is_always_the_same(partitions: int) -> None:
    found = probes(TENANT, partitions)
    keys = [document_key(TENANT, probe.document_id) for probe in found]
    assert [partition_of(key, partitions) for key in keys] == list(range(partitions))
    assert found == probes(TENANT, partitions)


def test_marks_are_words_of_their_own() -> None:
    first, second = new_marks(), new_marks()
    assert len({*first.values(), *second.values()}) == 4
    assert all(mark.isalpha() for mark in first.values())


def test_an_edit_is_seen_when_the_new_is_there_and_the_old_is_not() -> None:
    marks = new_marks()
    old, new = text_of(marks[Edition.FIRST]), text_of(marks[Edition.SECOND])
    look = PLAN[1].looks[0]
    assert is_as_wanted(look, marks, [new])
    assert not is_as_wanted(look, marks, [new, old])
    assert not is_as_wanted(look, marks, [old])
    assert not is_as_wanted(look, marks, [])
    assert marks[Edition.FIRST] in query_of(look, marks), "the old text could not show if it were not asked for"


def test_the_question_has_no_word_of_the_text() -> None:
    look = PLAN[0].looks[1]
    words = {word.strip(".?# ").lower() for word in query_of(look, new_marks()).split()}
    text = {word.strip(".?# ").lower() for word in text_of("x").split()}
    assert words & text <= {"the", "a", "of", "is", "to"}


def test_nothing_is_concluded_from_a_document_that_was_never_seen() -> None:
    write, _, revoke, *_ = PLAN
    unseen = accepted(write, Standing())
    assert not can_conclude(revoke.looks[0], unseen)
    assert can_conclude(revoke.looks[0], seen(write, {CanaryStep.FOUND_BY_WORDS}, unseen))


def test_without_a_document_there_is_nothing_to_revoke() -> None:
    assert [can_ask(move, Standing()) for move in PLAN] == [True, True, False, False, False]


class World:
    """A platform in memory. `refused` changes are refused; what is written never reaches a leg that is `away`."""

    def __init__(self, *, refused: frozenset[Change] = frozenset(), away: frozenset[str] = frozenset()) -> None:
        self.refused, self.away = refused, away
        self.text: dict[str, str | None] = {"keyword": None, "vector": None}
        self.readable = True
        self.leaks = False
        self.asked: list[Change] = []

    async def change(self, probe: Probe, change: Change, marks: Mapping[Edition, str]) -> None:
        self.asked.append(change)
        if change in self.refused:
            raise CallFailedError("stale_replica")
        match change:
            case Change.WRITE_FIRST:
                self._index(marks[Edition.FIRST])
            case Change.WRITE_SECOND:
                self._index(marks[Edition.SECOND])
            case Change.REVOKE | Change.GRANT:
                self.readable = change is Change.GRANT
            case Change.DELETE:
                self.text = dict.fromkeys(self.text)

    async def look(self, probe: Probe, query: str, mode: str) -> list[str]:
        if not self.readable and not self.leaks:
            return []
        modes = [mode] if mode in self.text else list(self.text)
        return [text for leg in modes if (text := self.text[leg]) is not None]

    def _index(self, mark: str) -> None:
        self.readable = True
        for leg in self.text:
            if leg not in self.away:
                self.text[leg] = text_of(mark)


async def walk(world: World) -> dict[CanaryStep, StepMeasured]:
    return {each.step: each for each in await Walker(caller=world, deadline_s=0.1).walk(PROBE)}


async def test_a_healthy_platform_passes_every_step() -> None:
    measured = await walk(World())
    assert list(measured) == list(CanaryStep)
    assert {each.outcome for each in measured.values()} == {PASSED}


async def test_a_leg_that_is_away_fails_its_own_steps_alone() -> None:
    measured = await walk(World(away=frozenset({"vector"})))
    failed = {step for step, each in measured.items() if each.outcome is not PASSED}
    assert failed == {CanaryStep.FOUND_BY_MEANING, CanaryStep.EDIT_FOUND_BY_MEANING}
    assert measured[CanaryStep.FOUND_BY_MEANING].error == NOT_SEEN
    assert measured[CanaryStep.FOUND_BY_MEANING].duration_ms >= 100
    assert measured[CanaryStep.EDIT_FOUND_BY_WORDS].duration_ms < 100, "the legs are timed side by side"


async def test_a_leak_is_found() -> None:
    world = World()
    world.leaks = True
    measured = await walk(world)
    assert [step for step, each in measured.items() if each.outcome is FAILED] == [CanaryStep.REVOKED_HIDDEN]


async def test_when_both_legs_are_away_nothing_is_said_to_be_hidden() -> None:
    measured = await walk(World(away=frozenset({"vector", "keyword"})))
    assert measured[CanaryStep.REVOKED_HIDDEN].outcome is SKIPPED
    assert measured[CanaryStep.DELETED_HIDDEN].outcome is SKIPPED
    assert measured[CanaryStep.GRANTED_FOUND].outcome is FAILED


async def test_a_refused_write_is_counted_and_what_hangs_on_it_is_not() -> None:
    world = World(refused=frozenset({Change.WRITE_FIRST, Change.WRITE_SECOND}))
    measured = await walk(world)
    assert (measured[CanaryStep.WRITE].outcome, measured[CanaryStep.WRITE].error) == (FAILED, "stale_replica")
    assert world.asked == [Change.WRITE_FIRST, Change.WRITE_SECOND]
    rest = set(CanaryStep) - {CanaryStep.WRITE, CanaryStep.EDIT}
    assert {measured[step].outcome for step in rest} == {SKIPPED}


@given(passing=st.sets(st.sampled_from(CanaryStep)), accepting=st.sets(st.sampled_from(Change)))
def test_visible_means_that_the_last_conclusive_look_saw_it(passing: set[CanaryStep], accepting: set[Change]) -> None:
    standing, last = Standing(), False
    for move in PLAN:
        if not can_ask(move, standing) or move.change not in accepting:
            continue
        standing = accepted(move, standing)
        looks: list[Look] = [look for look in move.looks if can_conclude(look, standing) and look.step in passing]
        standing = seen(move, {look.step for look in looks}, standing)
        last = looks[-1].shown is not None if looks else last
        assert standing.visible is last
