"""Syncs of a source of the directory, as a benchmark asks for them through the API."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from headwater.cli.api_client import ApiProblemError
from headwater.errors import FatalError
from tests.performance.bench import Bench, until

_POLL_S: Final = 0.02
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """One sync that has ended."""

    ending: str
    upserted: int
    started_at: datetime
    ended_at: datetime

    @property
    def took_s(self) -> float:
        return (self.ended_at - self.started_at).total_seconds()


def first_sync(bench: Bench, source: str, items: int) -> Synced:
    """Sync a source of so many items for the first time. Raise FatalError where others were written."""
    first = _synced(bench, source, mode="full")
    if first.upserted != items:
        raise FatalError(f"{source}: the first sync wrote {first.upserted} of {items}")
    return first


def sync_again(bench: Bench, source: str) -> None:
    """Sync a source in which nothing is new. Raise FatalError where something was."""
    again = _synced(bench, source, mode="incremental")
    if again.ending != "nothing_new":
        raise FatalError(f"{source}: the second sync ended {again.ending}")


def _synced(bench: Bench, source: str, *, mode: str) -> Synced:
    """Ask for a sync and return how it ended; it may have to wait for the worker to start."""
    before = (_sync(bench, source) or {}).get("started_at")
    bench.api.call("POST", f"/directory/sources/{source}/sync", json={"mode": mode, "items": []})

    def ended() -> dict[str, Any] | None:
        sync = _sync(bench, source)
        return sync if sync is not None and sync["ending"] and sync["started_at"] != before else None

    sync = until(ended, every_s=_POLL_S)
    return Synced(
        ending=sync["ending"],
        upserted=sync["upserted"],
        started_at=datetime.fromisoformat(sync["started_at"]),
        ended_at=datetime.fromisoformat(sync["updated_at"]),
    )


def _sync(bench: Bench, source: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = bench.api.call("GET", f"/directory/sources/{source}/sync")
    except ApiProblemError as error:
        if error.status != _NOT_FOUND:
            raise
        return None
    return found
