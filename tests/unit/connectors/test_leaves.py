"""The cursor of a listing: whatever is cut off, refused or lost, the next passes end where the source is."""

import tracemalloc
from collections.abc import Mapping
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.leaves import LEAF_ITEMS, Held, Ledger, Note, NotedParts, decoded
from connectors.protocol import Listing

KEYS = [f"k{n:02d}" for n in range(24)] + ["!", "k05-", "é", "k11\n"]
Source = Mapping[str, str]


class Replayed:
    """One who walks a source with the ledger and saves what is told, as a runner would: in batches, all or a part."""

    def __init__(self, leaf_items: int) -> None:
        self.leaf_items = leaf_items
        self.cursor: dict[str, bytes] = {}
        self.documents: dict[str, str] = {}

    def walk_whole(self, source: Source) -> int:
        """Make a pass that nothing disturbs."""
        return self.walk(source, batch=5, stop_after=10_000, refused=frozenset(), lost_parts=10_000)

    def walk(self, source: Source, *, batch: int, stop_after: int, refused: frozenset[str], lost_parts: int) -> int:
        """Make a pass that ends after some changes, the last save of it cut short; return how many it submitted."""
        ledger, submitted = Ledger(self.cursor, leaf_items=self.leaf_items), 0
        waiting: list[tuple[str, str | None, Note, NotedParts]] = []
        for key in sorted(source):
            leaf, held = ledger.take(key, 0)
            now = Held(content=source[key], access="")
            if held != now:
                waiting.append((key, source[key], *ledger.note(leaf, key, now, settled=False)))
            if len(waiting) >= batch:
                submitted += self._submit(waiting, refused, None)
                waiting = []
                if submitted >= stop_after:
                    return submitted
        submitted += self._submit(waiting, refused, None)
        ledger.finish(0)
        waiting = [(key, None, *ledger.note(leaf, key, None, settled=True)) for leaf, key, _ in ledger.missing()]
        return submitted + self._submit(waiting, refused, lost_parts)

    def _submit(
        self, changes: list[tuple[str, str | None, Note, NotedParts]], refused: frozenset[str], at_most: int | None
    ) -> int:
        # Only what has a content can fail alone.
        good = [each for each in changes if each[1] is None or each[0] not in refused]
        for key, value, note, _ in good:
            note.settled = True
            if value is None:
                self.documents.pop(key, None)
            else:
                self.documents[key] = value
        parts: dict[str, bytes | None] = {}
        for _, _, _, its_parts in good:
            parts.update(its_parts)
        for part, state in list(parts.items())[:at_most]:
            if state is None:
                self.cursor.pop(part, None)
            else:
                self.cursor[part] = state
        return len(good)


class Stamped:
    """What is stored anew has a time that it never had before, be it the same value."""

    def __init__(self) -> None:
        self._values: dict[str, int] = {}
        self._contents: dict[str, str] = {}
        self._clock = 0

    def after(self, values: dict[str, int]) -> dict[str, str]:
        self._clock += 1
        self._contents = {
            key: self._contents[key] if self._values.get(key) == value else f"{value} at {self._clock}"
            for key, value in values.items()
        }
        self._values = values
        return self._contents


sources = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3))
passes = st.tuples(
    sources,
    st.integers(1, 9),
    st.integers(1, 40),
    st.frozensets(st.sampled_from(KEYS), max_size=4),
    st.integers(0, 5),
)


@settings(max_examples=60, deadline=timedelta(seconds=5), derandomize=True)
@given(st.lists(passes, max_size=6), sources, st.integers(1, 3))
def test_it_ends_where_the_source_is(
    lived: list[tuple[dict[str, int], int, int, frozenset[str], int]], last: dict[str, int], leaf_items: int
) -> None:
    replayed, stamped = Replayed(leaf_items), Stamped()
    for values, batch, stop_after, refused, lost in lived:
        source = stamped.after(values)
        replayed.walk(source, batch=batch, stop_after=stop_after, refused=refused, lost_parts=lost)
    source = stamped.after(last)
    replayed.walk_whole(source)
    assert replayed.documents == source
    assert replayed.walk_whole(source) == 0
    ledger = Ledger(replayed.cursor)
    assert {key: ledger.at(key)[1] for key in source} == {
        key: Held(content=content, access="") for key, content in source.items()
    }
    for values, *_ in lived:
        ledger = Ledger(replayed.cursor, leaf_items=leaf_items)
        for key in sorted(values):
            ledger.take(key, 0)
        ledger.finish(0)
        assert ledger.listing("all") == Listing(name="all", known=len(source), shown=len(values))


def test_a_leaf_that_another_still_names_is_emptied_and_not_taken_away() -> None:
    replayed = Replayed(leaf_items=3)
    replayed.walk_whole({"a": "1", "d": "1", "e": "1"})
    replayed.leaf_items = 1
    replayed.walk_whole({"a": "1", "b": "1", "c": "1", "d": "2", "e": "1"})
    assert {part: list(decoded(state)) for part, state in replayed.cursor.items()} == {
        "k:a": ["a", "b", "d", "e"],  # as it was when the rest was cut off
        "k:c": ["c", "d", "e"],
    }
    assert replayed.walk_whole({"a": "1", "b": "1"}) == 3
    assert decoded(replayed.cursor["k:c"]) == {}
    assert replayed.walk_whole({"a": "1", "b": "1"}) == 0
    assert replayed.walk_whole({"a": "1", "b": "1", "d": "1"}) == 1


def test_an_item_that_failed_is_not_noted_by_those_after_it() -> None:
    ledger = Ledger({})
    notes = []
    for key in ("a", "b", "c"):
        leaf, _ = ledger.take(key, 0)
        notes.append(ledger.note(leaf, key, Held(content=key, access=""), settled=False))
    notes[0][0].settled = notes[2][0].settled = True
    ((part, state),) = notes[2][1].items()
    assert state is not None
    assert list(decoded(state)) == ["a", "c"]
    assert part == "k:a"


def test_asked_early_it_does_not_promise_what_comes_later() -> None:
    ledger = Ledger({})
    notes = []
    for key in ("a", "b"):
        leaf, _ = ledger.take(key, 0)
        notes.append(ledger.note(leaf, key, Held(content=key, access=""), settled=True))
    state = notes[0][1]["k:a"]
    assert state is not None
    assert list(decoded(state)) == ["a"]


def test_another_versions_state_is_read_again() -> None:
    assert decoded(b"0whatever") == {}


def test_memory_and_size_of_a_large_cursor() -> None:
    """5,000 keys of 60 characters; a million were measured (ADR 0119)."""
    ledger, cursor = Ledger({}), dict[str, bytes | None]()
    for n in range(5_000):
        key = f"department-{n // 1000:05d}/projects/reports/{n:012d}-quarterly.md"
        leaf, _ = ledger.take(key, 0)
        note, parts = ledger.note(leaf, key, Held(content=f"{n:016x}", access="f" * 16), settled=False)
        note.settled = True
        if n % LEAF_ITEMS == LEAF_ITEMS - 1 or n == 5_000 - 1:
            cursor.update(parts)
    kept = {part: state for part, state in cursor.items() if state is not None}
    assert sum(len(state) for state in kept.values()) < 5_000 * 40
    tracemalloc.start()
    again = Ledger(kept)
    for n in range(5_000):
        key = f"department-{n // 1000:05d}/projects/reports/{n:012d}-quarterly.md"
        assert again.take(key, 0)[1] is not None
    again.finish(0)
    assert list(again.missing()) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000  # the walk itself: one leaf, decoded, and the names of all
