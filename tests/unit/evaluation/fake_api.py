"""A query API that finds documents by counting shared words, as far as an evaluation looks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class FakeApi:
    """Answers `call`. A document put is searchable after `delay` listings; those in `broken` fail."""

    delay: int = 1
    broken: frozenset[str] = frozenset()
    degraded: tuple[str, ...] = ()
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    documents: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    searches: list[Mapping[str, Any]] = field(default_factory=list)
    listings: int = 0

    def call(self, method: str, path: str, **options: Any) -> Any:
        _, kind, *rest = path.split("/")
        if kind == "directory":
            return self._directory(method, "/".join(rest), options)
        if (method, path) == ("POST", "/documents/batch"):
            return self._batch(options["content"].decode())
        if (method, path) == ("GET", "/documents"):
            return self._list(options["params"])
        if (method, path) == ("POST", "/search"):
            return self._search(options["json"])
        return {"failure": {"reason": "it is broken"}}

    def _directory(self, method: str, name: str, options: Mapping[str, Any]) -> Any:
        if method == "PUT":
            self.records[name] = options["json"]
        if method == "DELETE":
            del self.records[name]
        return {"token": f"after {name}", "records": []}

    def _batch(self, body: str) -> Any:
        results = []
        for number, line in enumerate(map(json.loads, body.splitlines()), start=1):
            refused = line["op"] == "put" and f"sources/{line['source']}" not in self.records
            if not refused and line["op"] == "put":
                self.documents[line["external_id"]] = line
            if not refused and line["op"] == "delete":
                del self.documents[line["external_id"]]
            results.append({"line": number, "problem": {"detail": "no such source"} if refused else None})
        return {"results": results}

    def _list(self, asked: Mapping[str, Any]) -> Any:
        """One document a page, so that pages are followed."""
        place = int(asked.get("cursor", 0))
        self.listings += place == 0
        names = sorted(self.documents)[place : place + 1]
        more = place + 1 < len(self.documents)
        return {
            "documents": [
                {"external_id": each, "document_id": f"id-{each}", "status": self._status(each)} for each in names
            ],
            "cursor": str(place + 1) if more else None,
        }

    def _status(self, name: str) -> str:
        if name in self.broken:
            return "failed"
        return "searchable" if self.listings > self.delay else "pending"

    def _search(self, body: Mapping[str, Any]) -> Any:
        self.searches.append(body)
        words = set(body["query"].lower().split())
        scores = {name: sum(word in line["text"].lower() for word in words) for name, line in self.documents.items()}
        order = sorted(scores, key=lambda name: -scores[name])
        hits = [{"external_id": name, "score": scores[name]} for name in order if scores[name]]
        return {"hits": hits[: body["top_k"]], "meta": {"degraded": list(self.degraded)}}
