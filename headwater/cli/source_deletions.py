"""`headwater sources approve|remove`: what is deleted on an administrator's word."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from headwater.cli.api_client import ApiClient, open_api
from headwater.cli.output import AsJson, tell
from headwater.settings import Settings

AT_ONCE: Final = 1_000  # approvals of one call
_TIMES: Final = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M", "%Y-%m-%d"]

Name = Annotated[str, typer.Argument(help="Name of the source in the directory.")]


def approve(
    source: Name,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All that wait now.")] = False,
    until: Annotated[
        datetime | None, typer.Option(formats=_TIMES, help="Those that began to wait by then, in UTC.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="This many deletions, the longest waiting first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let deletions through that wait: past the budget, or of a listing that showed suspiciously little."""
    if (everything, until, count) == (False, None, None):
        raise typer.BadParameter("say which: --all, --until TIME or --count N; `sources show` tells what waits")
    with open_api(Settings().api) as api:
        shown = api.call("GET", f"/directory/sources/{source}/deletions")
        # What begins to wait from now on was not seen by whoever approves.
        newest = datetime.fromisoformat(shown["newest_at"]) if shown["newest_at"] else None
        by = newest if until is None or newest is None else min(newest, until.replace(tzinfo=UTC))
        approved = 0 if by is None else _approve(api, source, by, shown["waiting"] if count is None else count)
    tell(
        f"approved {approved} of {shown['waiting']} waiting deletions of {source}",
        {"source": source, "approved": approved, "waiting": shown["waiting"]},
        as_json=as_json,
    )


def remove(
    source: Name,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the number of documents.")] = False,
    keep_documents: Annotated[bool, typer.Option("--keep-documents", help="Remove the source alone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a source and its documents. The number of documents is asked for: typing it approves their deletion."""
    path = f"/directory/sources/{source}"
    with open_api(Settings().api) as api:
        if keep_documents:
            removed = api.call("DELETE", path)
            tell(f"{source} is removed; its documents stay as they are", removed | {"documents": 0}, as_json=as_json)
            return
        count = api.call("GET", f"{path}/deletions")["source_documents"]
        if not yes:
            asked = f"{source} has {count} documents, which will be deleted. Type their number"
            typed = typer.prompt(asked, type=int, err=as_json)
            if typed != count:
                raise typer.Abort
        removed = api.call("DELETE", path, params={"documents": count})
    said = f"{source} is removed; admission deletes its {count} documents, also after a restart"
    tell(said, removed | {"documents": count}, as_json=as_json)


def _approve(api: ApiClient, source: str, until: datetime, count: int) -> int:
    """Approve a page at a time; each begins when admission has settled the one before it."""
    approved, token = 0, None
    while approved < count:
        body = {"until": until.isoformat(), "limit": min(AT_ONCE, count - approved)}
        after: dict[str, Any] = {} if token is None else {"params": {"after": token}}
        accepted = api.call("POST", f"/directory/sources/{source}/deletions/approve", json=body, **after)
        approved, token = approved + accepted["approved"], accepted["token"]
        if accepted["left"] == 0:
            break
    return approved
