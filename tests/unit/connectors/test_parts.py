"""Parts behave like a dictionary in order, whatever is done to them, and take disk instead of memory."""

import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import parts as module
from connectors.parts import NoRoomError, Parts, below
from streams.prepare.confinement import resident_bytes

NAMES = st.sampled_from(["", "a", "a/", "a/b", "a0", "ab", "b", "é", "\U0001f600", "\x00", "a\x00b", "%", "A"])
ACTS = st.lists(st.tuples(st.sampled_from(["put", "drop"]), NAMES, st.binary(max_size=4)), max_size=30)


@given(ACTS, NAMES)
def test_they_are_what_a_dictionary_would_be_in_order(acts: list[tuple[str, str, bytes]], prefix: str) -> None:
    parts, truth = Parts(), dict[str, bytes]()
    for act, name, state in acts:
        if act == "put":
            parts[name] = truth[name] = state
        else:
            assert parts.pop(name, None) == truth.pop(name, None)
    assert (list(parts.items()), len(parts), bool(parts)) == (sorted(truth.items()), len(truth), bool(truth))
    found = [(name.removeprefix(prefix), state) for name, state in sorted(truth.items()) if name.startswith(prefix)]
    assert list(parts.below(prefix)) == list(below(parts, prefix)) == sorted(below(truth, prefix)) == found
    assert Parts(below(parts, "")) == truth


@pytest.mark.parametrize("act", [lambda parts: parts["b"], lambda parts: parts.__delitem__("b")])
def test_what_is_not_there_is_missing(act: Callable[[Parts], Any]) -> None:
    with pytest.raises(KeyError, match="b"):
        act(Parts([("a", b"")]))


@pytest.mark.parametrize("page_rows", [1, 2, 1_000])
def test_they_may_change_while_they_are_iterated(page_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", page_rows)
    parts = Parts((f"{n}", b"old") for n in range(6))
    met = []
    for name in parts:
        met.append(name)
        del parts[name]
        parts[f"+{name}"] = b"behind"
    assert met == ["0", "1", "2", "3", "4", "5"]
    assert list(parts) == ["+0", "+1", "+2", "+3", "+4", "+5"]


def test_a_full_folder_is_told_with_what_to_do() -> None:
    parts = Parts()
    parts._database.execute("PRAGMA max_page_count = 8")
    with pytest.raises(NoRoomError, match=r"is full; make room .*TMPDIR"):
        parts["a"] = bytes(100_000)


def test_they_may_be_collected_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    def forget() -> None:
        parts = Parts([("a", b"state")])
        ring: list[object] = [parts]
        ring.append(ring)  # only the collector, wherever it runs, finds this

    gc.disable()
    try:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(forget).result()
        gc.collect()
    finally:
        gc.enable()
    assert unraisable == []


def test_two_hundred_thousand_take_a_few_megabytes() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        assert processes.submit(_grown_mib).result() < 16  # as a dictionary: more than 60


def _grown_mib() -> float:
    before = resident_bytes()
    parts = Parts(_many())
    assert sum(1 for _ in parts) == 200_000
    return (resident_bytes() - before) / (1024 * 1024)


def _many() -> Iterator[tuple[str, bytes]]:
    return ((f"folder-{n // 1000:05d}/{n:040d}.md", b"x" * 80) for n in range(200_000))
