"""Program text is cut by its outline: whole definitions, nothing lost, and an edit changes what it touches."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.content.media_types import MediaType
from headwater.generations.policy import ChunkPolicy
from schemas.events.chunks import Chunk, ChunkKind, embedding_text
from streams.prepare.atoms import CountTokens
from streams.prepare.code_chunking import split_code
from streams.prepare.errors import LimitExceededError
from streams.prepare.outline import Outline
from streams.prepare.parsers.code import parse_code
from streams.prepare.prepared import dump_prepared, load_prepared, prepare
from tests.unit.prepare.programs import SAMPLES, module, python_texts
from tests.unit.prepare.texts import COUNTERS, PATIENT, SMALL, count_words

counters = st.sampled_from(COUNTERS)
_MEDIUM = replace(SMALL, max_tokens=100, max_context_tokens=20, min_tokens=20, max_bytes=2_000)


def read(text: str, kind: MediaType = MediaType.PYTHON) -> Outline:
    found = parse_code(text.encode(), kind).outline
    assert found is not None
    return found


def cut(text: str, policy: ChunkPolicy = SMALL, count: CountTokens = count_words) -> tuple[Chunk, ...]:
    return split_code(text, read(text), policy, count)


def parsed_or_none(text: str) -> Outline | None:
    return parse_code(text.encode(), MediaType.PYTHON).outline


@settings(PATIENT, max_examples=40)
@given(python_texts(), counters)
def test_every_character_is_in_exactly_one_chunk_within_the_budget(text: str, count: CountTokens) -> None:
    outline = parsed_or_none(text)
    if outline is None:
        return
    position = 0
    for ordinal, chunk in enumerate(split_code(text, outline, SMALL, count)):
        assert (chunk.ordinal, chunk.start, chunk.kind) == (ordinal, position, ChunkKind.CODE)
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text.strip()
        assert chunk.parent_start <= chunk.start < chunk.end <= chunk.parent_end
        assert count(embedding_text("", chunk.section, chunk.text)) <= SMALL.max_tokens
        assert len(chunk.text.encode()) <= SMALL.max_bytes
        position = chunk.end
    assert position == len(text)


@settings(PATIENT, max_examples=40)
@given(python_texts(), counters)
def test_a_definition_that_fits_is_in_one_chunk(text: str, count: CountTokens) -> None:
    outline = parsed_or_none(text)
    if outline is None:
        return
    chunks = split_code(text, outline, _MEDIUM, count)
    for each in outline.definitions:
        end = each.start + len(text[each.start : each.end].rstrip())
        # With the blank lines behind it, which are its chunk's, and a path of at most its share.
        after = text[end:][: len(text[end:]) - len(text[end:].lstrip())]
        if count(text[each.start : end] + after) <= _MEDIUM.max_tokens - _MEDIUM.max_context_tokens // 2:
            assert any(chunk.start <= each.start and end <= chunk.end for chunk in chunks), text[each.start : end]


@settings(PATIENT, max_examples=15)
@given(python_texts())
def test_the_same_text_gives_the_same_chunks_and_the_cache_keeps_them(text: str) -> None:
    prepared = prepare(parse_code(text.encode(), MediaType.PYTHON), SMALL, count_words)
    assert prepare(parse_code(text.encode(), MediaType.PYTHON), SMALL, count_words) == prepared
    assert load_prepared(dump_prepared(prepared)) == prepared


@settings(PATIENT, max_examples=12)
@given(st.integers(min_value=0, max_value=10_000), st.data())
def test_an_edit_in_one_of_thirty_functions_changes_at_most_two_chunks(seed: int, data: st.DataObject) -> None:
    functions = module(seed, 30)
    before = {chunk.text_hash for chunk in cut("\n\n\n".join(functions) + "\n", _MEDIUM)}
    assert len(before) > 10
    at = data.draw(st.integers(min_value=0, max_value=29))
    lines = functions[at].split("\n")
    edited = [*functions[:at], "\n".join([*lines[:-1], "    return edited"]), *functions[at + 1 :]]
    after = {chunk.text_hash for chunk in cut("\n\n\n".join(edited) + "\n", _MEDIUM)}
    assert 1 <= len(after - before) <= 2


def test_a_statement_more_in_any_function_changes_two_chunks_on_average_at_most() -> None:
    functions = module(5, 30)
    before = {chunk.text_hash for chunk in cut("\n\n\n".join(functions) + "\n", _MEDIUM)}
    changed = []
    for at, each in enumerate(functions):
        header, *body = each.split("\n")
        edited = [*functions[:at], "\n".join([header, "    added = new(1, 2)", *body]), *functions[at + 1 :]]
        after = {chunk.text_hash for chunk in cut("\n\n\n".join(edited) + "\n", _MEDIUM)}
        changed.append(len(after - before))
    assert sum(changed) / len(changed) <= 2


def test_sections_are_the_path_of_the_definition() -> None:
    body = "\n".join(f"        total_{n} = compute(first_{n}, second_{n})" for n in range(6))
    free = "def free():\n" + "".join(f"    take(day_{n})\n" for n in range(4))
    text = f"class Desk:\n    def one(self):\n{body}\n\n    def two(self):\n{body}\n\n\n{free}"
    assert count_words(body) + count_words(free) < _MEDIUM.max_tokens  # it is not for its size that `free` is alone
    found = [(chunk.section, chunk.text.split("(")[0].strip()) for chunk in cut(text, _MEDIUM)]
    assert found == [(("Desk",), "class Desk:\n    def one"), (("Desk", "two"), "def two"), (("free",), "def free")]


def test_the_package_leads_the_path_and_closing_brackets_end_it() -> None:
    text = SAMPLES["desk.java"]
    roomy = replace(SMALL, max_context_tokens=24, max_tokens=60)
    chunks = split_code(text, read(text, MediaType.JAVA), roomy, count_words)
    assert chunks[0].section == ("com.acme.leave",)
    assert {chunk.section for chunk in chunks[1:]} == {("com.acme.leave", "Desk")}
    assert chunks[-1].text.endswith("}\n")


def test_brackets_that_close_a_class_leave_its_last_method_its_path() -> None:
    body = "".join(f"        total{n} = compute(first{n}, second{n});\n" for n in range(7))
    text = "class Desk {\n" + "\n".join(f"    int {name}() {{\n{body}    }}\n" for name in ("one", "two")) + "}\n"
    chunks = split_code(text, read(text, MediaType.JAVA), _MEDIUM, count_words)
    assert chunks[-1].text.endswith("    }\n}\n")
    assert chunks[-1].section == ("Desk", "two")


def test_a_function_that_does_not_fit_is_cut_between_statements_and_each_piece_says_whose_it_is() -> None:
    lines = [f"    value_{n} = compute(value_{n + 1})" for n in range(30)]
    text = "\n".join(["# Computes.", "@cached", "def compute_all():", '    """Compute it all."""', *lines]) + "\n"
    chunks = cut(text)
    assert len(chunks) > 3
    assert {chunk.section for chunk in chunks} == {("compute_all",)}
    assert {(chunk.parent_start, chunk.parent_end) for chunk in chunks} == {(0, len(text))}
    assert chunks[0].text.startswith('# Computes.\n@cached\ndef compute_all():\n    """Compute it all."""\n    value_0')
    assert all(chunk.text.startswith("    value_") for chunk in chunks[1:])


def test_a_statement_that_fits_is_whole_in_a_function_that_does_not() -> None:
    inner = "\n".join(f"        step_{n}(value)" for n in range(4))
    text = "def run():\n" + "".join(f"    for item_{n} in items:\n{inner}\n" for n in range(9))
    for chunk in cut(text):
        assert chunk.text.count("    for item_") * 4 == chunk.text.count("step_")


def test_a_run_is_cut_between_functions_before_it_is_cut_in_one() -> None:
    def written(name: str, statements: int) -> str:
        return f"def {name}():\n" + "".join(f"    {name}_{n} = 1\n" for n in range(statements)) + "\n\n"

    for name in ("a", "b", "c", "d", "e"):
        first, large, last = written(f"x{name}", 8), written(f"y{name}", 60), written(f"z{name}", 8)
        chunks = cut(first + large + last, _MEDIUM)
        assert (chunks[0].text, chunks[-1].text) == (first, last)


def test_small_neighbours_are_joined() -> None:
    text = "\n".join(f"def f{n}():\n    return {n}\n\n" for n in range(40))
    chunks = cut(text, _MEDIUM)
    assert len(chunks) < 20
    assert all(count_words(chunk.text) >= _MEDIUM.min_tokens for chunk in chunks)
    assert all(chunk.text.startswith("def f") for chunk in chunks)


def test_a_long_text_in_code_is_cut_between_its_paragraphs_first() -> None:
    paragraphs = [" ".join(f"word{n}{k}" for k in range(9)) for n in range(8)]
    chunks = cut('NAME = """' + "\n\n".join(paragraphs) + '"""\n')
    assert len(chunks) > 2
    assert all(chunk.text.endswith(("\n\n", '"""\n')) for chunk in chunks)


def test_a_line_that_does_not_fit_is_cut_between_words() -> None:
    text = "values = [" + ", ".join(f"name{n}" for n in range(200)) + "]\n"
    chunks = cut(text)
    assert "".join(chunk.text for chunk in chunks) == text
    assert all(chunk.text.endswith((", ", "= ", "]\n")) for chunk in chunks)


def test_too_many_chunks_are_refused() -> None:
    with pytest.raises(LimitExceededError, match="more than 3 chunks"):
        cut("\n".join(module(1, 20)), replace(SMALL, max_chunks=3))


def test_this_repositorys_own_definitions_are_whole_where_they_fit() -> None:
    policy = replace(SMALL, max_tokens=256, max_context_tokens=96, min_tokens=64, max_bytes=8_192)
    fitting = 0
    for path in sorted(Path(split_code.__code__.co_filename).parent.glob("*.py")):
        text = path.read_text("utf-8")
        if not text.strip():
            continue
        outline = read(text)
        chunks = split_code(text, outline, policy, count_words)
        for each in outline.definitions:
            if count_words(embedding_text("", each.path, text[each.start : each.end])) <= policy.max_tokens:
                fitting += 1
                end = each.start + len(text[each.start : each.end].rstrip())
                assert any(chunk.start <= each.start and end <= chunk.end for chunk in chunks), (path, each.path)
    assert fitting > 100
