from pathlib import Path

import pytest

from headwater.evaluation.collection import Collection, CollectionError


def test_only_judged_queries_are_asked_and_no_metadata_is_read(beir: Path) -> None:
    collection = Collection.read(beir)
    assert (collection.name, collection.queries) == ("tiny", {"a": "wing lift", "c": "rocket"})
    assert collection.judgements == {"a": {"1": 1}, "c": {"2": 1}}


def test_a_document_without_a_word_is_left_out(beir: Path) -> None:
    assert [document.id for document in Collection.read(beir).documents()] == ["1", "2", "3"]


def test_a_limit_keeps_the_first_judged_queries_and_their_judgements(beir: Path) -> None:
    collection = Collection.read(beir, limit=1)
    assert (list(collection.queries), list(collection.judgements)) == (["a"], ["a"])


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("queries.jsonl", "{", "queries.jsonl:1: not JSON"),
        ("queries.jsonl", "[]", "queries.jsonl:1: not a JSON object"),
        ("queries.jsonl", '{"_id": 7}', "queries.jsonl:1: _id must be text"),
        ("queries.jsonl", "", "no query of queries.jsonl is judged"),
        ("qrels/test.tsv", "h\na\t1\n", "test.tsv:2: not `query-id<TAB>corpus-id<TAB>grade`"),
        ("qrels/test.tsv", "h\na\t1\thigh\n", "test.tsv:2: not"),
    ],
)
def test_what_is_malformed_is_named(beir: Path, file: str, content: str, message: str) -> None:
    (beir / file).write_text(content)
    with pytest.raises(CollectionError, match=message):
        Collection.read(beir)


def test_a_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="No such file or directory; name a folder in BEIR's layout"):
        Collection.read(tmp_path)
