"""An edit changes the chunks around it and no others, in one long section too."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.prepare.chunking import split_text
from tests.unit.prepare.texts import PATIENT, SMALL, count_words, plain_document

_WORDS = ["apply", "budget", "cost", "draft", "every", "form", "grant", "hours", "issue", "joint", "keep", "leave"]


def paragraphs(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(_WORDS, k=rng.randint(4, 30))).capitalize() + "." for _ in range(count)]


def hashes(texts: list[str]) -> list[str]:
    return [chunk.text_hash for chunk in split_text(plain_document(texts), SMALL, count_words)]


@settings(PATIENT, max_examples=60)
@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=60, max_value=150), st.data())
def test_inserting_or_deleting_a_paragraph_changes_few_chunks(seed: int, count: int, data: st.DataObject) -> None:
    before = paragraphs(seed, count)
    at = data.draw(st.integers(min_value=0, max_value=count - 1))
    inserted = [*before[:at], *paragraphs(seed + 77_777, 1), *before[at:]]
    deleted = [*before[:at], *before[at + 1 :]]
    known = set(hashes(before))
    assert len(known) > 20
    for after in (inserted, deleted):
        assert len(set(hashes(after)) - known) <= 8  # of some 50; usually 1 or 2


def test_on_average_an_edit_changes_less_than_two_chunks() -> None:
    before = paragraphs(1, 200)
    known = set(hashes(before))
    changed = 0
    for at in range(0, 200, 5):
        changed += len(set(hashes([*before[:at], "A new sentence came in here today.", *before[at:]])) - known)
    assert changed / 40 < 2


@pytest.mark.parametrize("at", [3, 100, 190])
def test_an_edit_inside_a_paragraph_leaves_its_neighbours_alone(at: int) -> None:
    before = paragraphs(2, 200)
    edited = [*before[:at], before[at].rstrip(".") + " and more.", *before[at + 1 :]]
    assert len(set(hashes(edited)) - set(hashes(before))) <= 2
