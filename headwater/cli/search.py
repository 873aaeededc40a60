"""`headwater search` and `headwater ask`."""

from typing import Annotated, Any

import typer

from headwater.cli.api_client import open_api
from headwater.cli.output import AsJson, print_json, print_table, say
from headwater.settings import Settings

AsUser = Annotated[str | None, typer.Option("--as", help="Ask as this user, with a key of five minutes.")]
KnowledgeBases = Annotated[list[str] | None, typer.Option("--kb", help="Only this knowledge base; may be repeated.")]
Mode = Annotated[str, typer.Option(help="hybrid, vector or keyword.")]
Question = Annotated[str, typer.Argument(help="Words or a question.")]


def search(
    query: Question,
    as_user: AsUser = None,
    kb: KnowledgeBases = None,
    mode: Mode = "hybrid",
    top_k: Annotated[int, typer.Option(help="How many passages.")] = 5,
    *,
    explain: Annotated[bool, typer.Option("--explain", help="Ranks and scores of each leg.")] = False,
    as_json: AsJson = False,
) -> None:
    """Find passages."""
    body = {"query": query, "knowledge_bases": kb or None, "mode": mode, "top_k": top_k, "explain": explain}
    with open_api(Settings().api, as_user=as_user) as api:
        found = api.call("POST", "/search", json=body)
    if as_json:
        print_json(found)
        return
    print_table(("score", "document", "section", "passage"), [_row(hit) for hit in found["hits"]])
    _say_meta(found["meta"])


def ask(
    question: Question,
    as_user: AsUser = None,
    kb: KnowledgeBases = None,
    mode: Mode = "hybrid",
    *,
    as_json: AsJson = False,
) -> None:
    """Ask a question; the answer names what it rests on."""
    with open_api(Settings().api, as_user=as_user) as api:
        found = api.call("POST", "/query", json={"query": question, "knowledge_bases": kb or None, "mode": mode})
    if as_json:
        print_json(found)
        return
    typer.echo(found["answer"] or "What you may read does not answer this.")
    for source in found["sources"]:
        place = " > ".join([source["title"], *source["section"]])
        page = f", page {source['page']}" if source["page"] else ""
        typer.echo(f"  [{source['number']}] {place}{page}")
    _say_meta(found["meta"])


def _row(hit: dict[str, Any]) -> tuple[object, ...]:
    snippet = " ".join(hit["highlight"]["text"].split())
    return f"{hit['score']:.3f}", hit["title"], " > ".join(hit["section"]), snippet[:100]


def _say_meta(meta: dict[str, Any]) -> None:
    degraded = f", degraded: {', '.join(meta['degraded'])}" if meta["degraded"] else ""
    say(f"{meta['timings_ms']['total']:.0f} ms, as of {meta['as_of']}, query {meta['query_id']}{degraded}")
