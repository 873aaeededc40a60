"""Every operation of the API, with a request that is well-formed and asks for what is not there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.support.document_writes import PAGE, item

READ, WRITE, ADMIN, SYSTEM = "read", "write", "admin", "system"
SCOPES: Final = frozenset({READ, WRITE, ADMIN, SYSTEM})
EVERYBODY: Final = SCOPES
NDJSON: Final = "application/x-ndjson"
NOWHERE: Final = {
    "source": "none",
    "external_id": "cGFnZQ",
    "document_id": "0" * 32,
    "key_id": "0123456789abcdef",
    "topic": "rag.documents.changed",
    "partition": "0",
    "offset": "7",
    "tenant": "none",
    "record_id": "none",
    "kind": "users",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method and a path of the OpenAPI document; any of `scopes` allows it.

    `names_something`: the request is refused where what it names does not exist.
    """

    method: str
    template: str
    scopes: frozenset[str]
    body: Any = None
    names_something: bool = False

    @property
    def name(self) -> str:
        """The operation as people write it."""
        return f"{self.method} {self.template}"

    def path(self, values: Mapping[str, str] = NOWHERE) -> str:
        """Return the path of the request; without `values` it names what does not exist."""
        return self.template.format(**values)

    @property
    def of_a_tenant(self) -> bool:
        """Whether what it names belongs to one tenant: tenants themselves are managed from outside them."""
        return self.scopes != {SYSTEM}

    @property
    def takes_json(self) -> bool:
        """Whether the body is a JSON object, which has fields that can be wrong."""
        return isinstance(self.body, dict)

    def content(self) -> dict[str, Any]:
        """Return the body as httpx takes it."""
        if self.body is None:
            return {}
        return {"json": self.body} if self.takes_json else {"content": self.body, "headers": {"Content-Type": NDJSON}}


def _of(method: str, template: str, *scopes: str, body: Any = None, names_something: bool = False) -> Operation:
    return Operation(
        method=method,
        template=f"/v1{template}",
        scopes=frozenset(scopes),
        body=body,
        names_something=names_something,
    )


_DOCUMENT: Final = "/documents/{source}/{external_id}"
_SOURCE: Final = "/directory/sources/{source}"
_QUESTION: Final = {"query": "leave"}
_ROUND: Final = {
    "round_id": "00000000-0000-0000-0000-000000000007",
    "began_at": "2026-01-01T00:00:00Z",
    "document_id": "0" * 32,
    "partition": 0,
    "steps": [{"step": "edit", "outcome": "passed", "duration_ms": 100}],
}

OPERATIONS: Final = (
    _of("POST", "/search", READ, body=_QUESTION),
    _of("POST", "/query", READ, body=_QUESTION),
    _of("POST", "/feedback", READ, body={"query_id": "none", "rating": 5, "type": "helpful"}, names_something=True),
    _of("PUT", _DOCUMENT, WRITE, body=PAGE, names_something=True),
    _of("PATCH", _DOCUMENT, WRITE, body={"title": "New"}, names_something=True),
    _of("PUT", f"{_DOCUMENT}/access", WRITE, body={"clauses": []}, names_something=True),
    _of("DELETE", _DOCUMENT, WRITE, names_something=True),
    _of("POST", "/documents/batch", WRITE, body=item("a")),
    _of("GET", "/documents", READ),
    _of("GET", "/documents/{document_id}", READ, names_something=True),
    _of("GET", "/documents/{document_id}/lineage", READ, names_something=True),
    _of("POST", "/documents/{document_id}/explain", READ, body=_QUESTION),
    _of("POST", f"{_DOCUMENT}/explain", READ, body=_QUESTION),
    _of("GET", "/directory/{kind}", ADMIN),
    _of("GET", "/directory/{kind}/{record_id}", ADMIN, names_something=True),
    _of("DELETE", "/directory/{kind}/{record_id}", ADMIN, names_something=True),
    _of("DELETE", "/directory/sources/{record_id}", ADMIN, names_something=True),
    _of("PUT", "/directory/tenants/{record_id}", SYSTEM, body={"name": "N"}),
    _of("PUT", "/directory/users/{record_id}", ADMIN, body={"name": "N"}),
    _of("PUT", "/directory/groups/{record_id}", ADMIN, body={"name": "N", "members": []}),
    _of("PUT", "/directory/knowledge-bases/{record_id}", ADMIN, body={"name": "N"}),
    _of(
        "PUT", "/directory/sources/{record_id}", ADMIN, body={"name": "N", "kind": "api", "knowledge_base": "handbook"}
    ),
    _of("PUT", "/directory/retrieval-profiles/{record_id}", ADMIN, body={"rerank": False}),
    _of("GET", "/syncs", ADMIN),
    _of("GET", f"{_SOURCE}/sync", ADMIN, names_something=True),
    _of("POST", f"{_SOURCE}/sync", ADMIN, body={"mode": "full"}, names_something=True),
    _of("DELETE", f"{_SOURCE}/sync", ADMIN, names_something=True),
    _of("POST", f"{_SOURCE}/test", ADMIN, names_something=True),
    _of("GET", f"{_SOURCE}/test", ADMIN, names_something=True),
    _of("GET", f"{_SOURCE}/deletions", ADMIN, names_something=True),
    _of("POST", f"{_SOURCE}/deletions/approve", ADMIN, body={"limit": 1}, names_something=True),
    _of("POST", f"{_SOURCE}/undo", ADMIN, body={"since": "2026-01-01T00:00:00Z"}, names_something=True),
    _of("POST", "/keys", ADMIN, body={"name": "laptop"}),
    _of("GET", "/keys", *EVERYBODY),
    _of("POST", "/keys/{key_id}/rotate", ADMIN, body={"overlap_s": 60}, names_something=True),
    _of("DELETE", "/keys/{key_id}", *EVERYBODY, names_something=True),
    _of("POST", "/directory/tenants/{tenant}/administrator", SYSTEM, body={"user": "admin"}, names_something=True),
    _of("GET", "/parked", ADMIN),
    _of("GET", "/parked/{topic}/{partition}/{offset}", ADMIN, names_something=True),
    _of("POST", "/parked/replay", ADMIN, body={"limit": 1}),
    _of("POST", "/parked/discard", ADMIN, body={"limit": 1, "reason": "old"}),
    _of("GET", "/freshness", ADMIN, SYSTEM),
    _of("POST", "/freshness/rounds", WRITE, body=_ROUND),
    _of("GET", "/consistency", ADMIN, names_something=True),
)
