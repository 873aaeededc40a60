"""A judged collection small enough to know every number by heart."""

import json
from pathlib import Path

import pytest

CORPUS = [
    {"_id": "1", "title": "Wings", "text": "lift of a wing & its <drag>", "metadata": {"secret": "SECRET"}},
    {"_id": "2", "title": "", "text": "heat in a nozzle"},
    {"_id": "3", "title": "Nothing but a title", "text": ""},
    {"_id": "4", "title": "", "text": "  "},
]
QUERIES = [
    {"_id": "a", "text": "wing lift", "metadata": {"answer": "SECRET"}},
    {"_id": "b", "text": "unjudged"},
    {"_id": "c", "text": "rocket"},
]


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    for name, lines in (("corpus", CORPUS), ("queries", QUERIES)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\na\t1\t1\nc\t2\t1\n")
    return folder
