"""Judged collections in BEIR's layout: `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeAlias

from headwater.errors import FatalError

# Query -> document -> grade; what is not judged is not relevant.
Judgements: TypeAlias = Mapping[str, Mapping[str, int]]


class CollectionError(FatalError):
    """The folder is no judged collection; the text names the file, the line and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionDocument:
    """One line of the corpus. Its other fields are never read."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A folder's queries and judgements. Documents are read as a stream: a corpus may be large."""

    name: str
    folder: Path
    queries: Mapping[str, str]  # judged ones only
    judgements: Judgements  # of those queries

    @classmethod
    def read(cls, folder: Path, *, limit: int | None = None) -> Self:
        """Read a folder; `limit` keeps that many judged queries, in the order of the file.

        Raises CollectionError where a file is missing or malformed, or where nothing is judged.
        """
        judgements = _read_judgements(folder / "qrels" / "test.tsv")
        judged = (
            (_text(line, "_id", where), _text(line, "text", where))
            for line, where in _read_lines(folder / "queries.jsonl")
        )
        queries = dict(islice((query for query in judged if query[0] in judgements), limit))
        if not queries:
            raise CollectionError(f"{folder}: no query of queries.jsonl is judged in qrels/test.tsv")
        return cls(
            name=folder.resolve().name,
            folder=folder,
            queries=queries,
            judgements={query: judgements[query] for query in queries},
        )

    def documents(self) -> Iterator[CollectionDocument]:
        """Yield the corpus, without documents that have neither title nor text: there is nothing to find of them."""
        for line, where in _read_lines(self.folder / "corpus.jsonl"):
            document = CollectionDocument(
                id=_text(line, "_id", where), title=line.get("title") or "", text=_text(line, "text", where)
            )
            if document.title.strip() or document.text.strip():
                yield document


def _read_lines(path: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield each JSON object and where it stands."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                where = f"{path}:{number}"
                try:
                    parsed = json.loads(line)
                except ValueError as error:
                    raise CollectionError(f"{where}: not JSON") from error
                if not isinstance(parsed, dict):
                    raise CollectionError(f"{where}: not a JSON object")
                yield parsed, where
    except OSError as error:
        raise CollectionError(f"{path}: {error.strerror}; name a folder in BEIR's layout") from error


def _text(line: Mapping[str, Any], field: str, where: str) -> str:
    value = line.get(field)
    if not isinstance(value, str):
        raise CollectionError(f"{where}: {field} must be text")
    return value


def _read_judgements(path: Path) -> Judgements:
    judgements: dict[str, dict[str, int]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = csv.reader(lines, delimiter="\t")
            next(rows, None)  # the header
            for number, row in enumerate(rows, start=2):
                try:
                    query, document, grade = row
                    judgements.setdefault(query, {})[document] = int(grade)
                except ValueError as error:
                    raise CollectionError(f"{path}:{number}: not `query-id<TAB>corpus-id<TAB>grade`") from error
    except OSError as error:
        raise CollectionError(f"{path}: {error.strerror}; name a folder in BEIR's layout") from error
    return judgements
