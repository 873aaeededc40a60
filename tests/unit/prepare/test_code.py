"""Program text: known by its name, read to an outline, and plain text where that is not worth trusting."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.content.detection import detect_media_type
from headwater.content.media_types import CODE, MediaType
from streams.prepare.errors import EmptyDocumentError
from streams.prepare.outline import Outline
from streams.prepare.parsed import ParsedText
from streams.prepare.parsers.code import MAX_CODE_BYTES, parse_code
from streams.prepare.parsers.code_tree import parse_tree
from streams.prepare.parsers.text import parse_text
from streams.prepare.parsing import parse_document
from tests.unit.prepare.programs import SAMPLES
from tests.unit.prepare.texts import PATIENT

_PATHS = {
    "desk.java": ["Desk", "Desk.Desk", "Desk.toString", "Desk.Kind"],
    "desk.go": ["Desk", "Desk.Take", "List.Push", "New"],
    "desk.rs": ["Desk", "Desk", "Desk.fmt", "inner", "inner.go"],
    "desk.ts": ["Desk", "Desk.constructor", "Desk.handler", "later", "Deep", "Deep.go"],
    "view.tsx": ["View"],
    "desk.js": ["module.exports.run", "first"],
    "desk.cpp": ["acme", "acme.Desk", "acme.Desk.take", "acme.Desk.give"],
    "desk.c": ["count"],
    "desk.cs": ["Desk", "Desk.Days", "Desk.Take"],
    "desk.rb": ["Acme", "Acme.Desk", "Acme.Desk.initialize", "Acme.Desk.make"],
    "desk.php": ["Desk", "Desk.take"],
    "desk.sh": ["hello"],
    "desk.py": ["Desk", "Desk.days", "make", "make.inner"],
}
_MODULES = {"desk.java": "com.acme.leave", "desk.go": "leave", "desk.cs": "Acme.Leave", "desk.php": "Acme\\Leave"}


def parsed(name: str) -> ParsedText:
    return parse_document(SAMPLES[name].encode(), name=f"repo:7/file/src/{name}")


def outline(name: str) -> Outline:
    found = parsed(name).outline
    assert found is not None
    return found


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_each_language_names_its_definitions(name: str) -> None:
    assert [".".join(each.path) for each in outline(name).definitions] == _PATHS[name]
    assert outline(name).module == ((_MODULES[name],) if name in _MODULES else ())
    assert parsed(name).text == SAMPLES[name]
    assert parsed(name).media_type in CODE


def test_every_language_has_a_sample() -> None:
    assert {parsed(name).media_type for name in SAMPLES} == CODE


@pytest.mark.parametrize(
    ("name", "path", "beginning"),
    [
        ("desk.py", "Desk", "# A desk.\n@final\nclass"),
        ("desk.py", "Desk.days", "    @property\n    def days"),
        ("desk.rs", "Desk", "/// A desk.\n#[derive(Debug)]\npub struct"),
        ("desk.cpp", "acme.Desk", "// A desk.\ntemplate <typename T>\nclass"),
        ("desk.cpp", "acme.Desk.give", "template <typename T>\nint&"),
        ("desk.ts", "Desk", "@Injectable()\nexport class"),
        ("desk.java", "Desk", "/** A desk. */\n@Service"),
        ("desk.go", "Desk.Take", "// Take takes a day.\nfunc"),
    ],
)
def test_comments_and_decorators_are_of_what_they_stand_above(name: str, path: str, beginning: str) -> None:
    found = next(each for each in outline(name).definitions if ".".join(each.path) == path)
    assert SAMPLES[name][found.start : found.end].startswith(beginning)


def test_a_comment_apart_from_a_definition_is_not_of_it() -> None:
    found = parse_code(b"# Notes on all of it.\n\ndef one():\n    pass\n", MediaType.PYTHON)
    assert found.outline is not None
    assert [found.text[each.start : each.end] for each in found.outline.definitions] == ["def one():\n    pass\n"]


@pytest.mark.parametrize(
    ("declared", "name", "expected"),
    [
        (None, "repo:7/file/a/b.py", MediaType.PYTHON),
        ("text/plain", "b.RS", MediaType.RUST),
        ("application/octet-stream", "b.go", MediaType.GO),
        ("text/x-python; charset=utf-8", None, MediaType.PYTHON),
        ("application/javascript", "page:12", MediaType.JAVASCRIPT),
        ("text/x-c", "b.h", MediaType.CPP),
        ("text/x-python", "notes.md", MediaType.MARKDOWN),
        ("text/markdown", "https://acme.test/index.php", MediaType.MARKDOWN),
        ("text/html", "https://acme.test/index.php", MediaType.HTML),
        (None, "Makefile", MediaType.TEXT),
        (None, None, MediaType.TEXT),
    ],
)
def test_a_name_or_a_declared_type_tells_code(declared: str | None, name: str | None, expected: MediaType) -> None:
    assert detect_media_type(b"import os\nimport sys\n\nprint(1)\n", declared=declared, name=name) is expected


def test_what_code_looks_like_beside_its_name() -> None:
    page = b"<!doctype html>\n<html><body><?php echo 1; ?></body></html>"
    assert detect_media_type(page, name="index.php") is MediaType.HTML
    assert detect_media_type(b"int a, b;\nint c, d;\nint e, f;\nint g, h;\n", name="a.c") is MediaType.C
    assert detect_media_type(b"%PDF-1.7\n", name="a.py") is MediaType.PDF
    assert detect_media_type(b"junk\n%PDF-1.7\n", name="a.py") is MediaType.PDF
    assert detect_media_type(b'MAGIC = b"%PDF-"\n', name="a.py") is MediaType.PYTHON
    assert detect_media_type(b'MAGIC = b"%PDF-"\n', name="a.txt") is MediaType.PDF
    assert detect_media_type(b"PK\x03\x04 %PDF-", name="a.py") is MediaType.ZIP


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (
            "vim.cs",
            "Tohle není žádný program, nýbrž prostý text.\nMá několik řádků: ty se čtou, ale nepřekládají.\n" * 9,
        ),
        ("damaged.py", "def (((:\n  ]] x y z\n}{ class class\n" * 20),
        ("large.py", "x = 1  # one of many lines\n" * (MAX_CODE_BYTES // 26)),
        ("gap.py", "x = 1\n" + " " * 400 + "\ny = 2\n"),
        ("ambiguous.cpp", "a<b<" * 8_000),
    ],
)
def test_what_has_no_outline_to_trust_is_plain_text(name: str, data: str) -> None:
    assert parse_document(data.encode(), name=name) == parse_text(data.encode())


def test_code_with_one_mistake_keeps_its_outline() -> None:
    source = SAMPLES["desk.py"] + "\ndef broken(:\n    pass\n\n\ndef after():\n    return 2\n"
    found = parse_code(source.encode(), MediaType.PYTHON).outline
    assert found is not None
    assert {"Desk", "after"} <= {each.path[0] for each in found.definitions}


def test_a_parse_is_left_after_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    source = b"int a = b < c;\n" * 2_000
    assert parse_tree(source, MediaType.CPP) is not None
    monkeypatch.setattr("streams.prepare.parsers.code_tree._LEAST_REPORTS", 10)
    monkeypatch.setattr("streams.prepare.parsers.code_tree._REPORTS_PER_KIB", 0)
    assert parse_tree(source, MediaType.CPP) is None


def test_deep_nesting_ends_as_any_other_text() -> None:
    deep = "".join("[\n" for _ in range(3_000)) + "".join("]\n" for _ in range(3_000))
    assert parse_document(deep.encode(), name="deep.js").text == deep


def test_an_empty_file_of_code_is_named_so() -> None:
    with pytest.raises(EmptyDocumentError):
        parse_document(b"\n \n", name="__init__.py")


@settings(PATIENT, max_examples=40)
@given(st.text(max_size=40), st.sampled_from(sorted(CODE)))
def test_any_text_in_any_language_is_read(text: str, kind: MediaType) -> None:
    data = f"{text}\nx".encode(errors="replace")
    assert parse_code(data, kind).text == parse_text(data).text
