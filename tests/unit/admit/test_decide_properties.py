"""Whatever is submitted in whatever order: revisions grow, replays do nothing, the newest version wins."""

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.events.base import Lane
from schemas.events.documents import DocumentChanged, DocumentSubmitted
from streams.admit.outcomes import Admitted, DocumentHead, Drop, Dropped
from streams.admit.state import normalised, patched, state_of
from streams.admit.step import decide
from tests.support.heads import NOON, NOON_MS, delete, patch, put, state
from tests.unit.admit.test_decide import context

TITLES = st.sampled_from(["one", "two", "three"])
VERSIONS = st.none() | st.integers(0, 6)
LANES = st.sampled_from(list(Lane))
PATCHES = st.fixed_dictionaries(
    {},
    optional={"title": TITLES, "url": TITLES, "attributes": st.dictionaries(st.sampled_from("ab"), st.integers(0, 2))},
)


@st.composite
def submissions(draw: st.DrawFn) -> DocumentSubmitted:
    version, lane = draw(VERSIONS), draw(LANES)
    kind = draw(st.sampled_from(["put", "patch", "delete"]))
    if kind == "put":
        return put(state(draw(TITLES)), source_version=version, lane=lane)
    if kind == "patch":
        return patch(draw(PATCHES), source_version=version, lane=lane)
    return delete(source_version=version, lane=lane)


def admit_all(
    history: Sequence[tuple[DocumentSubmitted, int]], clock: Sequence[int]
) -> tuple[list[DocumentChanged], DocumentHead | None]:
    log: list[DocumentChanged] = []
    head: DocumentHead | None = None
    for (submission, offset), now_ms in zip(history, clock, strict=False):
        decision = decide(submission, head, context(offset, now_ms=now_ms))
        if isinstance(decision, Admitted):
            log.append(decision.record)
            head = decision.head
        elif isinstance(decision, Dropped) and decision.head is not None:
            head = decision.head
    return log, head


HISTORIES = st.lists(submissions(), min_size=1, max_size=12)
CLOCKS = st.lists(st.integers(NOON_MS - 1000, NOON_MS + 1000), min_size=40, max_size=40)


@given(HISTORIES, CLOCKS)
def test_revisions_only_grow(history: list[DocumentSubmitted], clock: list[int]) -> None:
    log, _ = admit_all([(each, offset) for offset, each in enumerate(history)], clock)
    revisions = [record.revision for record in log]
    assert revisions == sorted(set(revisions))


@given(HISTORIES, CLOCKS, st.data())
def test_a_replay_of_any_part_changes_nothing(
    history: list[DocumentSubmitted], clock: list[int], data: st.DataObject
) -> None:
    numbered = [(each, offset) for offset, each in enumerate(history)]
    once, head = admit_all(numbered, clock)
    again = data.draw(st.lists(st.sampled_from(numbered), max_size=8))
    for submission, offset in again:
        decision = decide(submission, head, context(offset))
        # What was refused may be refused again; nothing that was admitted or dropped is admitted twice.
        assert not isinstance(decision, Admitted) or all(offset != record.submitted.offset for record in once)


@given(HISTORIES, CLOCKS)
def test_a_replay_of_what_was_admitted_is_recognised(history: list[DocumentSubmitted], clock: list[int]) -> None:
    log, head = admit_all([(each, offset) for offset, each in enumerate(history)], clock)
    for record in log:
        original = history[record.submitted.offset]
        assert decide(original, head, context(record.submitted.offset)) == Dropped(reason=Drop.REPLAYED)


@given(st.permutations(list(range(8))), CLOCKS)
def test_the_newest_version_wins_in_any_order(order: list[int], clock: list[int]) -> None:
    history = [put(state(f"v{version}"), source_version=version) for version in order]
    log, head = admit_all([(each, offset) for offset, each in enumerate(history)], clock)
    versions = [record.source_version for record in log]
    assert head is not None
    assert head.record.title == "v7"
    assert versions == sorted(versions, key=lambda version: version or 0)


@given(st.lists(st.tuples(st.integers(0, 5), TITLES), min_size=1, max_size=12), CLOCKS)
def test_no_state_older_than_one_that_was_seen_is_admitted(writes: list[tuple[int, str]], clock: list[int]) -> None:
    """Dropped submissions included: a version whose state was the same as the document's was seen all the same."""
    head: DocumentHead | None = None
    newest = -1
    for offset, (version, title) in enumerate(writes):
        decision = decide(put(state(title), source_version=version), head, context(offset, now_ms=clock[offset]))
        if isinstance(decision, Admitted):
            assert version >= newest
            head = decision.head
        elif isinstance(decision, Dropped):
            head = decision.head or head
        newest = max(newest, version)


@given(PATCHES, PATCHES)
def test_patches_of_disjoint_fields_commute(one: dict[str, object], other: dict[str, object]) -> None:
    names = {name: value for name, value in other.items() if name not in one}
    first, second = patch(dict(one)).patch, patch(names).patch
    assert first is not None
    assert second is not None
    start = state("zero", attributes={"a": 9, "c": 9})
    assert patched(patched(start, first), second) == patched(patched(start, second), first)


@given(PATCHES)
def test_a_record_carries_the_state_it_was_made_from(fields: dict[str, object]) -> None:
    head = decide(put(), None, context())
    assert isinstance(head, Admitted)
    change = patch(dict(fields), observed_at=NOON + timedelta(seconds=1))
    decision = decide(change, head.head, context(1))
    assert change.patch is not None
    wanted = normalised(patched(state_of(head.record), change.patch))
    if isinstance(decision, Admitted):
        assert state_of(decision.record) == wanted
    else:
        assert wanted == state_of(head.record)
