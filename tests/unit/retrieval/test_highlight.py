from hypothesis import given
from hypothesis import strategies as st

from query_api.retrieval.highlight import SNIPPET_CHARS, highlight


def marked(text: str, query: str) -> list[str]:
    found = highlight(text, query)
    return [found.snippet[low:high] for low, high in found.spans]


def test_words_and_their_endings_are_marked() -> None:
    assert marked("Requests for leave are requested in the portal.", "request leave") == [
        "Requests",
        "leave",
        "requested",
    ]


def test_words_that_only_begin_alike_are_not_marked() -> None:
    assert marked("The cat and the category.", "cat") == ["cat"]


def test_the_window_holds_most_of_the_words() -> None:
    text = "leave " + "filler " * 100 + "parental leave and sick leave are two kinds " + "filler " * 100
    found = highlight(text, "parental sick leave")
    assert "parental leave and sick leave" in found.snippet


@given(text=st.text(max_size=800), query=st.text(max_size=60))
def test_spans_lie_in_the_snippet_and_the_snippet_in_the_text(text: str, query: str) -> None:
    found = highlight(text, query)
    assert found.snippet in text
    assert len(found.snippet) <= SNIPPET_CHARS
    assert all(0 <= low < high <= len(found.snippet) for low, high in found.spans)
