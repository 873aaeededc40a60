"""Which sentences are quoted, and when none is."""

import pytest

from tests.support.triton_models import triton_module

extraction = triton_module("extraction")
PASSAGES = [
    "The office opens at eight. It closes at six, except on Fridays!\n- Dogs are welcome on Fridays.\n- Cats are not.",
    "Lunch is served from noon. Version 2.5 of the menu has soup.",
]


def test_each_sentence_is_a_verbatim_piece_of_its_passage() -> None:
    found = extraction.sentences_of(PASSAGES)
    assert [sentence.passage for sentence in found] == [0, 0, 0, 0, 1, 1]
    assert all(sentence.text in PASSAGES[sentence.passage] for sentence in found)
    assert found[5].text == "Version 2.5 of the menu has soup."


def test_the_best_sentence_is_quoted_with_its_passage() -> None:
    found = extraction.sentences_of(PASSAGES)
    quoted = extraction.extract(found, [0.1, 0.2, 0.3, 0.1, 0.9, 0.4])
    assert (quoted.answer, quoted.passages, quoted.answerable) == ("Lunch is served from noon.", (1,), True)


def test_a_second_sentence_comes_along_only_when_it_is_as_good() -> None:
    found = extraction.sentences_of(PASSAGES)
    quoted = extraction.extract(found, [0.1, 0.1, 0.89, 0.1, 0.9, 0.5])
    assert quoted.answer == f"{found[2].text} {found[4].text}"
    assert quoted.passages == (0, 1)


@pytest.mark.parametrize("scores", [[], [extraction.LEAST_EVIDENCE - 0.01]])
def test_weak_evidence_is_no_answer(scores: list[float]) -> None:
    quoted = extraction.extract(extraction.sentences_of(PASSAGES)[: len(scores)], scores)
    assert (quoted.answer, quoted.passages, quoted.answerable) == ("", (), False)
