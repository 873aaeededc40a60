"""`headwater evaluate`."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headwater.cli.api_client import open_api
from headwater.cli.output import AsJson, print_json, print_table, say
from headwater.evaluation.collection import Collection
from headwater.evaluation.judging import MODES, Measured, measure, uploads
from headwater.evaluation.knowledge_base import temporary_knowledge_base
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_PATIENCE_S = 300.0


class Mode(StrEnum):
    """Which legs are judged."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    KEYWORD = "keyword"
    ALL = "all"


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(help="corpus.jsonl, queries.jsonl and qrels/test.tsv (BEIR).")],
    mode: Annotated[Mode, typer.Option(help="Which legs to judge.")] = Mode.ALL,
    limit: Annotated[int | None, typer.Option(min=1, help="Judge only this many queries.")] = None,
    patience_s: Annotated[
        float, typer.Option(min=1, help="Give up after so many seconds without progress.")
    ] = _PATIENCE_S,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the knowledge base, and say its name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ingest a judged collection through the pipeline, ask its queries of the API, measure, and clean up."""
    collection = Collection.read(folder, limit=limit)
    modes = MODES if mode is Mode.ALL else (mode.value,)
    with (
        open_api(Settings().api) as api,
        temporary_knowledge_base(api, purpose=f"evaluate-{_slug(collection.name)}", keep=keep) as base,
    ):
        if keep:
            say(f"knowledge base {base.name} stays")
        base.put(uploads(collection))
        base.wait(patience_s=patience_s, report=say)
        measured = [measure(api, collection, knowledge_base=base.name, mode=each) for each in modes]
        documents = len(base.expected)
    if as_json:
        figures = [asdict(each) for each in measured]
        counts = {"queries": len(collection.queries), "documents": documents}
        print_json({"collection": collection.name, **counts, "modes": figures})
    else:
        title = f"{collection.name}: {documents} documents, {len(collection.queries)} judged queries"
        print_table(("mode", "nDCG@10", "Recall@100", "MRR@10", "p50 ms", "p95 ms"), map(_row, measured), title=title)


def _row(each: Measured) -> tuple[str, ...]:
    quality = (each.ndcg_at_10, each.recall_at_100, each.mrr_at_10)
    latency = (each.latency_p50_ms, each.latency_p95_ms)
    return each.mode, *(f"{value:.4f}" for value in quality), *(f"{value:.1f}" for value in latency)


def _slug(name: str) -> str:
    """Return a name as ids of records take it."""
    kept = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)
    return kept.strip("-")[:60] or "collection"
