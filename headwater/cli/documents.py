"""`headwater documents`: put, list, show, delete, lineage, explain."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from headwater.cli.api_client import open_api, path_id
from headwater.cli.output import AsJson, print_json, print_table, say
from headwater.cli.search import AsUser, KnowledgeBases, Mode
from headwater.settings import Settings

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, help="Documents of API sources, and all states."
)
DocumentId = Annotated[str, typer.Argument(help="The document's id, as `list` shows it.")]


@app.command()
def put(
    file: Annotated[Path, typer.Argument(help="The content; its type is found from the content.")],
    source: Annotated[str, typer.Option(help="An API source of the directory.")],
    external_id: Annotated[str | None, typer.Option(help="Left out: the file's name.")] = None,
    title: Annotated[str | None, typer.Option(help="Left out: the file's name.")] = None,
    reader: Annotated[
        list[str] | None, typer.Option(help="user:ID, group:SOURCE:ID or everyone; may be repeated. None: for nobody.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Put a file: create the document, or replace all of it."""
    clauses = [{"principals": reader}] if reader else []
    document = {"title": title or file.stem, "access": {"clauses": clauses}}
    address = f"/documents/{source}/{path_id(external_id or file.name)}"
    with open_api(Settings().api) as api, file.open("rb") as content:
        parts = {"document": (None, json.dumps(document), "application/json"), "content": (file.name, content)}
        accepted = api.call("PUT", address, files=parts)
    _print_accepted(accepted, as_json=as_json)


@app.command("list")
def list_documents(
    kb: Annotated[str | None, typer.Option("--kb", help="Only this knowledge base.")] = None,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    status: Annotated[str | None, typer.Option(help="Only documents in this state.")] = None,
    limit: Annotated[int, typer.Option(help="How many documents.")] = 50,
    as_user: AsUser = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List documents that the caller may read."""
    asked = {"knowledge_base": kb, "source": source, "status": status, "limit": limit}
    with open_api(Settings().api, as_user=as_user) as api:
        page = api.call("GET", "/documents", params={name: value for name, value in asked.items() if value is not None})
    if as_json:
        print_json(page)
        return
    columns = ("document_id", "title", "source", "external_id", "revision", "status")
    print_table(columns, [[document.get(name) for name in columns] for document in page["documents"]])


@app.command()
def show(document_id: DocumentId, as_user: AsUser = None, *, as_json: AsJson = False) -> None:
    """Show a document's state in every store, its times, and why it failed where it did."""
    with open_api(Settings().api, as_user=as_user) as api:
        _print(api.call("GET", f"/documents/{document_id}"), as_json=as_json)


@app.command()
def lineage(document_id: DocumentId, as_user: AsUser = None, *, as_json: AsJson = False) -> None:
    """Show every revision's way: submission, log position, stages, stores."""
    with open_api(Settings().api, as_user=as_user) as api:
        _print(api.call("GET", f"/documents/{document_id}/lineage"), as_json=as_json)


@app.command()
def explain(
    document: Annotated[str, typer.Argument(help="The document's id; with --source, its id at its source.")],
    question: Annotated[str, typer.Option(help="The words or the question that did not find it.")],
    source: Annotated[str | None, typer.Option(help="Name the document by its id at this source.")] = None,
    as_user: Annotated[str | None, typer.Option("--as", help="Who did not find it; it is in the audit trail.")] = None,
    kind: Annotated[str, typer.Option(help="How it was asked: answer or search.")] = "answer",
    kb: KnowledgeBases = None,
    mode: Mode = "hybrid",
    *,
    as_json: AsJson = False,
) -> None:
    """Say why a document does not answer a question: the first cause on its way, the evidence, the remedy."""
    body = {"query": question, "as_user": as_user, "kind": kind, "knowledge_bases": kb or None, "mode": mode}
    path = f"/documents/{document}" if source is None else f"/documents/{source}/{path_id(document)}"
    with open_api(Settings().api) as api:
        told = api.call("POST", f"{path}/explain", json=body)
    if as_json:
        print_json(told)
        return
    typer.echo(f"{told['verdict']['cause']}: {told['detail']}")
    typer.echo(told["remedy"])
    evidence = {name: value for name, value in told["verdict"].items() if name != "cause" and value != []}
    if evidence:
        _print(evidence, as_json=False)
    if refused := told["refused_since"]:
        say(f"a newer submission was refused ({refused['reason']}), so this is the state before it:")
        say(f"  {refused['explanation']}")
    for lost in told["expired_unread"]:
        found = f"found at {lost['found_at']}" if lost["found_at"] else "admission has still to come to it"
        say(f"submissions expired unread in its partition ({lost['partition']}, lane {lost['lane']}; {found}):")
        say("  a newer one of this document may have been among them; sync its source in full, or submit it again")
    if told["degraded"]:
        say(f"degraded: {', '.join(told['degraded'])}; with all of it the verdict might be another")


@app.command()
def delete(
    external_id: Annotated[str, typer.Argument(help="The document's id at its source.")],
    source: Annotated[str, typer.Option(help="An API source of the directory.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Delete a document."""
    with open_api(Settings().api) as api:
        accepted = api.call("DELETE", f"/documents/{source}/{path_id(external_id)}")
    _print_accepted(accepted, as_json=as_json)


def _print_accepted(accepted: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(accepted)
    else:
        typer.echo(f"accepted: {accepted['document_id']}")


def _print(value: dict[str, Any], *, as_json: bool) -> None:
    """Print a nested document: JSON is the clearest form of one for people, too."""
    if as_json:
        print_json(value)
    else:
        import yaml

        typer.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip())
