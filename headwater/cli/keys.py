"""`headwater keys`: create, list, rotate, revoke."""

from typing import Annotated

import typer

from headwater.cli.api_client import open_api
from headwater.cli.output import AsJson, print_json, print_table, say
from headwater.settings import Settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="API keys.")
KeyId = Annotated[str, typer.Argument(help="The key's id, as `list` shows it.")]
DAY_S = 24 * 3600


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for.")],
    user: Annotated[str | None, typer.Option(help="Whose key; left out: your own.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="read, write or admin; may be repeated.")] = None,
    days: Annotated[int, typer.Option(min=1, help="For how many days it is valid.")] = 365,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown once."""
    wanted = {"name": name, "user": user, "scopes": scope or ["read"], "expires_in_s": days * DAY_S}
    with open_api(Settings().api) as api:
        made = api.call("POST", "/keys", json={field: value for field, value in wanted.items() if value is not None})
    if as_json:
        print_json(made)
    else:
        say("This key is shown once; keep it in a password manager:")
        typer.echo(made["key"])


@app.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List keys, without what makes them valid."""
    with open_api(Settings().api) as api:
        keys = api.call("GET", "/keys")["keys"]
    if as_json:
        print_json(keys)
        return
    columns = ("id", "name", "user", "scopes", "expires_at")
    print_table(
        columns, [[key["id"], key["name"], key["user"], " ".join(key["scopes"]), key["expires_at"]] for key in keys]
    )


@app.command()
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[int, typer.Option(min=0, help="For how many hours the old key stays valid.")] = 24,
    *,
    as_json: AsJson = False,
) -> None:
    """Replace a key: both are valid for a while."""
    with open_api(Settings().api) as api:
        made = api.call("POST", f"/keys/{key_id}/rotate", json={"overlap_s": overlap_hours * 3600})
    if as_json:
        print_json(made)
    else:
        typer.echo(made["key"])


@app.command()
def revoke(key_id: KeyId, *, as_json: AsJson = False) -> None:
    """Withdraw a key at once."""
    with open_api(Settings().api) as api:
        gone = api.call("DELETE", f"/keys/{key_id}")
    if as_json:
        print_json(gone)
    else:
        typer.echo(f"withdrawn: {gone['id']}")
