"""What the chunker promises, for random documents and two kinds of tokenizer."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events.chunks import Chunk, ChunkKind, embedding_text
from streams.prepare.atoms import CountTokens
from streams.prepare.canonical import TextBuilder
from streams.prepare.chunking import content_title, split_text
from streams.prepare.errors import LimitExceededError
from streams.prepare.parsed import BlockKind, ParsedText
from streams.prepare.parsers.markdown import parse_markdown
from tests.unit.prepare.texts import COUNTERS, PATIENT, SMALL, count_words, documents

counters = st.sampled_from(COUNTERS)


@PATIENT
@given(documents(), counters)
def test_every_embedded_text_is_within_the_budget(parsed: ParsedText, count: CountTokens) -> None:
    title = content_title(parsed, SMALL, count)
    for chunk in split_text(parsed, SMALL, count):
        assert count(embedding_text(title, chunk.section, chunk.text)) <= SMALL.max_tokens
        assert len(chunk.text.encode()) <= SMALL.max_bytes
        assert chunk.text.strip()


@PATIENT
@given(documents(), counters)
def test_offsets_are_exact_and_chunks_are_in_order(parsed: ParsedText, count: CountTokens) -> None:
    chunks = split_text(parsed, SMALL, count)
    position = 0
    for ordinal, chunk in enumerate(chunks):
        assert chunk.ordinal == ordinal
        assert chunk.start >= position
        position = chunk.end
        own = parsed.text[chunk.start : chunk.end]
        assert chunk.text == own or (chunk.kind is ChunkKind.TABLE and chunk.text.endswith("\n" + own))
        assert chunk.parent_start <= chunk.start < chunk.end <= chunk.parent_end


@PATIENT
@given(documents(), counters)
def test_every_word_is_in_a_chunk_or_in_a_section_path(parsed: ParsedText, count: CountTokens) -> None:
    chunks = split_text(parsed, SMALL, count)
    covered = [False] * len(parsed.text)
    for chunk in chunks:
        covered[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
        if parsed.text[chunk.start : chunk.end] != chunk.text:  # a long table's repeated header
            header = parsed.text.index(chunk.text[: -(chunk.end - chunk.start)])
            covered[header : chunk.start] = [True] * (chunk.start - header)
    paths = {heading for chunk in chunks for heading in chunk.section}
    for block in parsed.blocks:
        if block.kind is BlockKind.HEADING and block.heading in paths:
            covered[block.start : block.end] = [True] * (block.end - block.start)
    missing = "".join(letter for letter, found in zip(parsed.text, covered, strict=True) if not found)
    assert not missing.strip()


@PATIENT
@given(documents())
def test_the_same_text_gives_the_same_chunks(parsed: ParsedText) -> None:
    assert split_text(parsed, SMALL, count_words) == split_text(replace(parsed), SMALL, count_words)


@settings(PATIENT, max_examples=20)
@given(st.integers(min_value=0, max_value=120), st.text(alphabet="abc xyz.", min_size=1, max_size=40))
def test_long_repeated_text_ends_quickly(size: int, unit: str) -> None:
    builder = TextBuilder()
    builder.add(BlockKind.PARAGRAPH, "Begin. " + f"{unit}\n" * size)
    chunks = split_text(builder.build(media_type="text/plain"), SMALL, count_words)
    assert chunks


def chunks_of(source: str) -> tuple[Chunk, ...]:
    return split_text(parse_markdown(source.encode()), SMALL, count_words)


def test_sections_are_never_mixed_and_carry_their_path() -> None:
    chunks = chunks_of("# Leave\n\nIntro.\n\n## Sick leave\n\nCall in.\n\n### Long\n\nA note.\n\n## Holidays\n\nAsk.\n")
    assert [(chunk.section, chunk.text) for chunk in chunks] == [
        (("Leave",), "Intro."),
        (("Leave", "Sick leave"), "Call in."),
        (("Leave", "Sick leave", "Long"), "A note."),
        (("Leave", "Holidays"), "Ask."),
    ]


def test_a_heading_without_text_below_it_is_kept() -> None:
    chunks = chunks_of("# Leave\n\nIntro.\n\n## To be written\n")
    assert [(chunk.section, chunk.text) for chunk in chunks][1:] == [(("Leave", "To be written"), "## To be written")]


def test_the_parent_is_the_enclosing_section() -> None:
    source = "# Leave\n\n" + "\n\n".join(f"Paragraph number {n} says what it has to say." for n in range(20)) + "\n"
    text = parse_markdown(source.encode()).text
    chunks = chunks_of(source)
    assert len(chunks) > 3
    assert {text[chunk.parent_start : chunk.parent_end] for chunk in chunks} == {text.strip()}


def test_a_table_that_fits_stays_whole() -> None:
    table = "| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |"
    chunks = chunks_of(f"# T\n\n{table}\n")
    assert [(chunk.kind, chunk.text) for chunk in chunks] == [(ChunkKind.TABLE, table)]


def test_a_long_table_is_cut_between_rows_and_repeats_its_header() -> None:
    rows = [f"| {n} | value {n} |" for n in range(40)]
    chunks = chunks_of("| id | what |\n| - | - |\n" + "\n".join(rows) + "\n")
    assert len(chunks) > 3
    assert all(chunk.text.startswith("| id | what |\n| - | - |\n") for chunk in chunks)
    found = [line for chunk in chunks for line in chunk.text.split("\n")[2:]]
    assert found == rows


def test_code_that_fits_stays_whole_and_long_code_is_cut_between_lines() -> None:
    short = "```python\nx = 1\n\ny = 2\n```"
    assert [(chunk.kind, chunk.text) for chunk in chunks_of(short)] == [(ChunkKind.CODE, short)]
    lines = [f"call_number_{n}(value)" for n in range(40)]
    chunks = chunks_of("```\n" + "\n".join(lines) + "\n```\n")
    assert len(chunks) > 3
    assert {line for chunk in chunks for line in chunk.text.split("\n")} == {*lines, "```"}


def test_a_word_longer_than_a_chunk_is_cut() -> None:
    word = "".join(f"{n:05d}" for n in range(500))
    chunks = chunks_of(word)
    assert "".join(chunk.text for chunk in chunks) == word


def test_a_chunk_has_the_page_it_begins_on_and_its_pages_as_parent() -> None:
    builder = TextBuilder()
    for page in (1, 2):
        for number in range(10):
            builder.add(BlockKind.PARAGRAPH, f"On page {page} sentence {number} is here for reading.", page=page)
    parsed = builder.build(media_type="application/pdf")
    chunks = split_text(parsed, SMALL, count_words)
    assert {chunk.page for chunk in chunks} == {1, 2}
    first = chunks[0]
    assert "page 2" not in parsed.text[first.parent_start : first.parent_end] or "page 2" in first.text


def test_a_document_of_too_many_chunks_is_refused() -> None:
    builder = TextBuilder()
    for number in range(100):
        builder.add(BlockKind.PARAGRAPH, f"Sentence {number} is one of many sentences in this long text.")
    with pytest.raises(LimitExceededError, match="more than 5 chunks"):
        split_text(builder.build(media_type="text/plain"), replace(SMALL, max_chunks=5), count_words)


def test_a_policy_without_room_for_the_passage_is_refused() -> None:
    with pytest.raises(ValueError, match="max_context_tokens"):
        replace(SMALL, max_context_tokens=40)
    with pytest.raises(ValueError, match="min_tokens"):
        replace(SMALL, min_tokens=40)
