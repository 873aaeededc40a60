"""A knowledge base for one run: filled through the API's batches, waited for, deleted at the end."""

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from headwater.errors import HeadwaterError

EVERYONE: Final = {"clauses": [{"principals": ["everyone"]}]}
_BATCH_ITEMS: Final = 200
_BATCH_BYTES: Final = 4 * 1024 * 1024
_PAGE: Final = 200
_UNBOUNDED: Final = 1_000_000_000
_REST: Final = 9  # times as long as the look before

Report = Callable[[str], None]


class EvaluationError(HeadwaterError):
    """A run cannot be completed; its text says why and what to do."""


class Api(Protocol):
    """What is needed of `headwater.cli.api_client.ApiClient`."""

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Return the response's JSON."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One document to put. Everyone in the tenant may read it."""

    external_id: str
    title: str
    text: str
    media_type: str


@dataclass(slots=True, kw_only=True)
class TemporaryKnowledgeBase:
    """A knowledge base with one API source, both under `name`. Use `temporary_knowledge_base`."""

    api: Api
    name: str
    expected: set[str] = field(default_factory=set)  # external ids that were put and not deleted
    poll_s: float = 1.0  # listings follow within a second

    def put(self, uploads: Iterable[Upload], *, lane: str = "backfill") -> None:
        """Submit documents in batches. Raises EvaluationError naming the first that is refused."""
        self._submit(_put_line(self.name, upload, lane) for upload in uploads)

    def delete(self, external_ids: Iterable[str]) -> None:
        """Submit deletions."""
        self._submit({"op": "delete", "source": self.name, "external_id": each} for each in external_ids)

    def wait(self, *, patience_s: float, report: Report) -> Mapping[str, Mapping[str, Any]]:
        """Return the documents by external id when exactly the expected ones are there, searchable in both stores.

        Raises EvaluationError for a document that failed, with its reason, and after `patience_s` without progress.
        """
        best, moved_at = -1, time.monotonic()
        while True:
            looked_at = time.monotonic()
            listed = {item["external_id"]: item for item in self.documents()}
            _refuse_failures(self.api, listed.values())
            ready = {name for name, item in listed.items() if item["status"] == "searchable"}
            if ready == self.expected:
                return listed
            if len(ready) > best:
                best, moved_at = len(ready), time.monotonic()
                report(f"{best} of {len(self.expected)} documents searchable")
            elif time.monotonic() - moved_at > patience_s:
                raise EvaluationError(
                    f"{best} of {len(self.expected)} documents are searchable, none followed for {patience_s:.0f} s: "
                    "`headwater status` shows which stage waits"
                )
            # Listing many documents is work for the stack that is waited for: a tenth of the time at most.
            time.sleep(max(self.poll_s, _REST * (time.monotonic() - looked_at)))

    def documents(self) -> Iterator[Mapping[str, Any]]:
        """Yield every document as the API lists it."""
        cursor: str | None = None
        while True:
            asked = {"source": self.name, "limit": _PAGE} | ({"cursor": cursor} if cursor else {})
            page = self.api.call("GET", "/documents", params=asked)
            yield from page["documents"]
            cursor = page["cursor"]
            if cursor is None:
                return

    def create(self) -> None:
        """Create the records and wait until the API knows them."""
        token = self._change("PUT", "knowledge-bases", json={"name": self.name})
        source = {
            "name": self.name,
            "kind": "api",
            "knowledge_base": self.name,
            "max_deletions_per_day": _UNBOUNDED,  # nobody is there to approve
        }
        token = self._change("PUT", "sources", json=source, params={"after": token})
        self.api.call("GET", "/directory/knowledge-bases", params={"after": token, "limit": 1})

    def remove(self) -> None:
        """Delete the records: the documents are hidden at once and removed from the stores by the stages."""
        token = self._change("DELETE", "knowledge-bases")
        self._change("DELETE", "sources", params={"after": token})

    def _change(self, method: str, kind: str, **options: Any) -> str:
        return str(self.api.call(method, f"/directory/{kind}/{self.name}", **options)["token"])

    def _submit(self, lines: Iterable[Mapping[str, Any]]) -> None:
        for batch in _batches(lines):
            outcome = self.api.call(
                "POST",
                "/documents/batch",
                content="".join(text for _, text in batch).encode(),
                headers={"Content-Type": "application/x-ndjson"},
            )
            refused = next((result for result in outcome["results"] if result["problem"]), None)
            if refused:
                line = batch[refused["line"] - 1][0]
                raise EvaluationError(f"document {line['external_id']}: {refused['problem']['detail']}")
            for line, _ in batch:
                keep = self.expected.discard if line["op"] == "delete" else self.expected.add
                keep(line["external_id"])


@contextmanager
def temporary_knowledge_base(api: Api, *, purpose: str, keep: bool = False) -> Iterator[TemporaryKnowledgeBase]:
    """Create a knowledge base under a name of its own; delete it at the end, also after a failure, unless `keep`."""
    base = TemporaryKnowledgeBase(api=api, name=f"{purpose}-{secrets.token_hex(4)}")
    base.create()
    try:
        yield base
    finally:
        if not keep:
            base.remove()


def _put_line(source: str, upload: Upload, lane: str) -> Mapping[str, Any]:
    return {
        "op": "put",
        "source": source,
        "external_id": upload.external_id,
        "title": upload.title,
        "text": upload.text,
        "media_type": upload.media_type,
        "access": EVERYONE,
        "lane": lane,
    }


def _batches(lines: Iterable[Mapping[str, Any]]) -> Iterator[list[tuple[Mapping[str, Any], str]]]:
    batch: list[tuple[Mapping[str, Any], str]] = []
    size = 0
    for line in lines:
        text = json.dumps(line) + "\n"
        if batch and (len(batch) == _BATCH_ITEMS or size + len(text) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append((line, text))
        size += len(text)
    if batch:
        yield batch


def _refuse_failures(api: Api, items: Iterable[Mapping[str, Any]]) -> None:
    failed = next((item for item in items if item["status"] == "failed"), None)
    if failed is not None:
        reason = (api.call("GET", f"/documents/{failed['document_id']}")["failure"] or {}).get("reason")
        raise EvaluationError(f"document {failed['external_id']} failed: {reason}; see `headwater parked list`")
