"""The canonical text is uniform, whatever it came from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.content.encodings import marked_encoding, zero_encoding
from streams.prepare.canonical import TextBuilder, normalise, table_lines
from streams.prepare.decoding import decode_text
from streams.prepare.errors import EmptyDocumentError, MalformedDocumentError
from streams.prepare.parsed import BlockKind
from tests.unit.prepare.texts import PATIENT

SAMPLE = "Grüße aus Köln, ein paar Wörter mehr.\nZweite Zeile.\n" * 4


@PATIENT
@given(st.text())
def test_normalising_twice_changes_nothing_and_leaves_no_control_characters(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert not any(letter < " " and letter not in "\n\t" for letter in once)
    once.encode("utf-8")  # no lone surrogate is left


def test_line_ends_and_accents_are_made_uniform() -> None:
    assert normalise("a\r\nb\rc\u2028d e\u0301\x00") == "a\nb\nc\nd \u00e9"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_unicode_is_found_without_being_declared(encoding: str) -> None:
    assert decode_text(SAMPLE.encode(encoding)) == SAMPLE


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_a_declared_encoding_is_used_and_else_it_is_guessed(encoding: str) -> None:
    assert decode_text(SAMPLE.encode(encoding), declared=encoding) == SAMPLE
    assert "Köln" in decode_text(SAMPLE.encode(encoding))


def test_an_unknown_declared_encoding_does_no_harm() -> None:
    assert "Köln" in decode_text(SAMPLE.encode("cp1252"), declared="x-no-such-encoding")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(MalformedDocumentError, match="UTF-8"):
        decode_text(bytes([1, 2, 3, 4, 5, 6, 255, 254]) * 50)


@PATIENT
@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=0x2FFF), min_size=1))
def test_utf8_text_is_never_taken_for_something_else(text: str) -> None:
    data = text.encode()
    assert marked_encoding(data) is not None or zero_encoding(data) is None
    assert marked_encoding(data) is not None or decode_text(data) == text


def test_a_builder_knows_where_its_blocks_are() -> None:
    builder = TextBuilder()
    builder.heading(" Tea \n time ", level=1, page=1)
    builder.add(BlockKind.LIST_ITEM, "- one", page=1)
    builder.add(BlockKind.LIST_ITEM, "- two", page=2)
    builder.add(BlockKind.PARAGRAPH, "  \n ")
    parsed = builder.build(media_type="text/html")
    assert parsed.text == "Tea time\n\n- one\n- two"
    assert [parsed.text[block.start : block.end] for block in parsed.blocks] == ["Tea time", "- one", "- two"]
    assert [block.page for block in parsed.blocks] == [1, 1, 2]
    assert parsed.title == "Tea time"


def test_a_builder_without_words_is_an_error() -> None:
    with pytest.raises(EmptyDocumentError, match="application/pdf"):
        TextBuilder().build(media_type="application/pdf")


def test_tables_are_filled_up_and_escaped() -> None:
    assert table_lines([["a", "b"], ["1|2"]]) == "| a | b |\n| --- | --- |\n| 1\\|2 |  |"
