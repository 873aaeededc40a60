"""`headwater parked`: dead letters, and why each is one."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
import yaml

from headwater.cli.api_client import ApiClient, open_api
from headwater.cli.output import AsJson, complain, print_json, print_table
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Dead letters.")
COLUMNS = ("position", "stage", "error", "document_id", "attempts", "parked_at")
PAGE = 200


@app.command("list")
def list_parked(
    document_id: Annotated[str | None, typer.Option("--document", help="Only this document's.")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.")] = 50,
    *,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first."""
    params = {"limit": limit, **({"document_id": document_id} if document_id else {})}
    with open_api(Settings().api) as api:
        letters = api.call("GET", "/parked", params=params)["letters"]
    if as_json:
        print_json(letters)
        return
    rows = [{**letter, "position": _position(letter)} for letter in letters]
    print_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])


@app.command()
def show(
    position: Annotated[str, typer.Argument(help="topic/partition/offset, as `list` shows it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with its reason."""
    with open_api(Settings().api) as api:
        found = next((letter for letter in _all(api) if _position(letter) == position), None)
    if found is None:
        complain(f"there is no dead letter of {position}; `headwater parked list` shows those there are")
        raise typer.Exit(1)
    if as_json:
        print_json(found)
    else:
        typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True).rstrip())


def _all(api: ApiClient) -> Iterator[dict[str, Any]]:
    """Yield every dead letter, page by page, newest first."""
    params: dict[str, object] = {"limit": PAGE}
    while True:
        page = api.call("GET", "/parked", params=params)
        yield from page["letters"]
        if page["cursor"] is None:
            return
        params = {"limit": PAGE, "cursor": page["cursor"]}


def _position(letter: dict[str, Any]) -> str:
    origin = letter["origin"]
    return f"{origin['topic']}/{origin['partition']}/{origin['offset']}"
