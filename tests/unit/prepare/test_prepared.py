"""What the cache keeps is all of it, and its key names all that made it."""

from dataclasses import replace

import pytest
from hypothesis import given

from headwater.generations.policy import ChunkPolicy
from streams.prepare.parsed import ParsedText
from streams.prepare.prepared import dump_prepared, load_prepared, parser_label, prepare, prepared_key
from tests.unit.prepare.texts import PATIENT, SMALL, count_words, documents


@PATIENT
@given(documents())
def test_what_is_written_to_the_cache_is_read_back(parsed: ParsedText) -> None:
    prepared = prepare(parsed, SMALL, count_words)
    assert load_prepared(dump_prepared(prepared)) == prepared


@pytest.mark.parametrize("data", [b"", b"not zlib", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_foreign_cache_entry_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="cache entry"):
        load_prepared(data)


def key(policy: ChunkPolicy = SMALL, **changes: str | None) -> str:
    hints: dict[str, str | None] = {"tokenizer": "t1", "media_hint": None, "name_hint": "a/page.md", **changes}
    return prepared_key(
        "a" * 64,
        policy,
        tokenizer=str(hints["tokenizer"]),
        media_hint=hints["media_hint"],
        name_hint=hints["name_hint"],
    )


def test_the_key_does_not_depend_on_where_a_file_lies() -> None:
    assert key(name_hint="b/other.MD") == key()


def test_prose_is_prepared_under_the_key_it_always_had() -> None:
    """Another key would parse and cut everything again, for the same chunks."""
    assert key() == "cdf1958bad442babfd9c0ab98de636de4373a4efef6c1bf572f3d3287b7c04d6"


def test_code_has_a_version_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("page.md", "notes.txt", "main.py", "src/lib.RS")
    before = {name: key(name_hint=name) for name in names}
    declared = key(name_hint=None, media_hint="text/x-python")
    monkeypatch.setattr("streams.prepare.prepared.CODE_VERSION", "next")
    changed = {name for name in names if key(name_hint=name) != before[name]}
    assert changed == {"main.py", "src/lib.RS"}
    assert key(name_hint=None, media_hint="text/x-python") != declared


def test_the_trail_says_which_parser_made_a_chunk() -> None:
    assert parser_label(ChunkPolicy()) == parser_label(ChunkPolicy(), "text/markdown") == "headwater@1/structure-1"
    assert parser_label(ChunkPolicy(), "text/x-python") == "headwater@1+code1/structure-1"


def test_the_key_changes_with_everything_that_makes_other_chunks() -> None:
    keys = {
        key(),
        key(name_hint="page.txt"),
        key(media_hint="text/csv"),
        key(tokenizer="t2"),
        key(replace(SMALL, name="other")),
        key(replace(SMALL, max_tokens=50)),
    }
    assert len(keys) == 6
