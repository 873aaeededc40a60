"""One edit, one revocation, one deletion at a time, on a stack that has nothing else to do."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from headwater.cli.api_client import ApiProblemError, path_id
from headwater.errors import FatalError
from headwater.evaluation.knowledge_base import EVERYONE
from tests.performance.bench import Bench, until
from tests.performance.figures import Figure, spread

_EDITS = 40
_HIDDEN = 20  # documents revoked, and as many deleted
_POLL_S = 0.02  # edits: only to know when to look at the recorded times
_SHARP_POLL_S = 0.002  # hiding: the poll itself is the measure
_NOT_FOUND = 404
_SEARCHABLE = ("searchable_by_words_at", "searchable_by_meaning_at")
_SECTIONS = ("Leave", "Travel", "Equipment", "Security")


def measure_edits(bench: Bench) -> list[Figure]:
    """Edit one of four paragraphs and wait; then revoke and delete documents and see when the API hides them.

    An edit is timed by the clock of the machine: from before the request to the times that the indexing stages
    recorded after they had seen every row, and to the moment in which the API's gate lets the new revision through.
    """
    bench.settle()
    with bench.filled("edit", ()) as base:
        measured_edit(bench, base.name, 0)  # a document that is new is another matter
        edits = [measured_edit(bench, base.name, number) for number in range(1, _EDITS + 1)]
        revoked = [_hidden_after(bench, base.name, number, _revoke) for number in range(_HIDDEN)]
        deleted = [_hidden_after(bench, base.name, number, _delete) for number in range(_HIDDEN)]
    return [
        *spread("edit searchable by words", [each.words for each in edits]),
        *spread("edit searchable by meaning", [each.meaning for each in edits]),
        *spread("edit searchable in both stores", [each.both for each in edits], p50=150, p95=350),
        *spread("edit shown by the API", [each.shown for each in edits]),
        *spread("revocation hidden", revoked, p95=100),
        *spread("deletion hidden", deleted, p95=100),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EditTimes:
    """Seconds from before an edit's request until it was searchable by words, by meaning, and shown as such."""

    words: float
    meaning: float
    shown: float

    @property
    def both(self) -> float:
        """Until both stores had it."""
        return max(self.words, self.meaning)


def measured_edit(bench: Bench, source: str, number: int) -> EditTimes:
    """Edit one document, wait, and say how long it took."""
    began, ticks = datetime.now(UTC), time.perf_counter()
    document = _put(bench, source, "edited", _text(number))["document_id"]
    shown = 0.0

    def complete() -> dict[str, Any] | None:
        nonlocal shown
        times = (state := _state(bench, document)) and state["times"]
        if not state or not times or not _is_after(times["observed_at"], began) or state["status"] != "searchable":
            return None
        shown = shown or time.perf_counter() - ticks
        return times if all(times[name] for name in _SEARCHABLE) else None  # heads know before the read model does

    times = until(complete, every_s=_POLL_S)
    words, meaning = ((datetime.fromisoformat(times[name]) - began).total_seconds() for name in _SEARCHABLE)
    return EditTimes(words=words, meaning=meaning, shown=shown)


def _is_after(time_of_state: str | None, began: datetime) -> bool:
    return time_of_state is not None and datetime.fromisoformat(time_of_state) >= began


def _hidden_after(bench: Bench, source: str, number: int, hide: Callable[[Bench, str], object]) -> float:
    """Return the seconds from before the request until the API does not know the document any more."""
    name = f"hidden-{hide.__name__}-{number}"
    document = _put(bench, source, name, _text(number))["document_id"]
    until(lambda: (_state(bench, document) or {}).get("status") == "searchable", every_s=_POLL_S)
    began = time.perf_counter()
    hide(bench, f"/documents/{source}/{path_id(name)}")
    until(lambda: _state(bench, document) is None, every_s=_SHARP_POLL_S)
    took = time.perf_counter() - began
    query = {"query": "leave", "filters": {"field": "document_id", "equals": document}}
    if bench.api.call("POST", "/search", json=query)["hits"]:
        raise FatalError(f"document {document} is hidden and found all the same")
    return took


def _revoke(bench: Bench, path: str) -> None:
    bench.api.call("PUT", f"{path}/access", json={"clauses": [{"principals": ["user:nobody"]}]})


def _delete(bench: Bench, path: str) -> None:
    bench.api.call("DELETE", path)


def _state(bench: Bench, document: str) -> dict[str, Any] | None:
    """Return what the API says of a document; None while it does not know it, or hides it."""
    try:
        state: dict[str, Any] = bench.api.call("GET", f"/documents/{document}")
    except ApiProblemError as error:
        if error.status != _NOT_FOUND:
            raise
        return None
    return state


def _put(bench: Bench, source: str, name: str, text: str) -> dict[str, Any]:
    body = {"title": name, "text": text, "media_type": "text/markdown", "access": EVERYONE}
    accepted: dict[str, Any] = bench.api.call("PUT", f"/documents/{source}/{path_id(name)}", json=body)
    return accepted


def _text(number: int) -> str:
    """Return a page of four sections, each a chunk; only the third one differs, and no earlier run had it."""
    filler = "Ask your supervisor first, write down what was agreed, and keep the receipt for two years. " * 12
    sections = [f"## {title}\n\n{filler}" for title in _SECTIONS]
    sections[2] = f"## {_SECTIONS[2]}\n\nRevision {number} {secrets.token_hex(8)} says so. {filler}"
    return "# House rules\n\n" + "\n\n".join(sections)
