"""Ids from a registry: the protocol, against a small server that speaks it."""

import json
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from headwater.clients.kafka.schema_ids import configure_codec
from headwater.clients.kafka.schema_registry import (
    HttpSchemaIds,
    RegistryRefusedError,
    RegistryUnavailableError,
)
from headwater.settings import KafkaSettings
from schemas.codec import Codec, process_codec, schema_id_of, use_schema_ids
from schemas.errors import UnknownSchemaError
from schemas.events import AuditRecorded
from schemas.examples import load_examples
from schemas.registry import ManifestIds

EVENT: AuditRecorded = next(each.event for each in load_examples() if each.name == "audit_recorded/accepted")


class Registry(BaseHTTPRequestHandler):
    """Subjects, versions and ids as Confluent's registry answers them."""

    ids: ClassVar[dict[str, int]]
    configs: ClassVar[dict[str, str]]
    broken: ClassVar[HTTPStatus | None]

    def do_GET(self) -> None:
        wanted = int(self.path.rsplit("/", 1)[-1])
        found = next((schema for schema, schema_id in self.ids.items() if schema_id == wanted), None)
        self._answer({"schema": found} if found else None)

    def do_PUT(self) -> None:
        self.configs[self.path.rsplit("/", 1)[-1]] = self._body()["compatibility"]
        self._answer({"compatibility": "FULL_TRANSITIVE"})

    def do_POST(self) -> None:
        schema = self._body()["schema"]
        if self.path.endswith("/versions"):
            self._answer({"id": self.ids.setdefault(schema, 1000 + len(self.ids))})
        else:
            found = self.ids.get(schema)
            self._answer({"subject": self.path, "id": found, "version": 1, "schema": schema} if found else None)

    def _body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return body

    def _answer(self, answer: dict[str, Any] | None) -> None:
        status = self.broken or (HTTPStatus.NOT_FOUND if answer is None else HTTPStatus.OK)
        content = json.dumps(answer if status is HTTPStatus.OK else {"error_code": 40403, "message": "no"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Stay silent."""


@pytest.fixture
def registry() -> type[Registry]:
    class Fresh(Registry):
        ids: ClassVar[dict[str, int]] = {}
        configs: ClassVar[dict[str, str]] = {}
        broken: ClassVar[HTTPStatus | None] = None

    return Fresh


@pytest.fixture
def url(registry: type[Registry]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), registry)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def ids(url: str) -> Iterator[HttpSchemaIds]:
    ids = HttpSchemaIds(url, timeout_s=2.0)
    yield ids
    ids.close()


def test_an_event_travels_under_the_registrys_id(ids: HttpSchemaIds) -> None:
    published = ids.publish("AuditRecorded")
    data = Codec(ids).encode(EVENT)
    assert schema_id_of(data) == published >= 1000
    assert Codec(ids).decode(data, AuditRecorded) == EVENT


def test_publishing_twice_gives_the_same_id_and_asks_for_full(ids: HttpSchemaIds, registry: type[Registry]) -> None:
    assert ids.publish("AuditRecorded") == ids.publish("AuditRecorded")
    assert registry.configs == {"rag.AuditRecorded": "FULL_TRANSITIVE"}


def test_an_unpublished_schema_is_refused_with_the_remedy(ids: HttpSchemaIds) -> None:
    with pytest.raises(RegistryRefusedError, match="run `headwater schemas publish`"):
        Codec(ids).encode(EVENT)


def test_an_unknown_id_is_the_codecs_own_error(ids: HttpSchemaIds) -> None:
    with pytest.raises(UnknownSchemaError, match="knows no schema id 4"):
        ids.schema(4)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (HTTPStatus.INTERNAL_SERVER_ERROR, RegistryUnavailableError),
        (HTTPStatus.TOO_MANY_REQUESTS, RegistryUnavailableError),
        (HTTPStatus.CONFLICT, RegistryRefusedError),
        (HTTPStatus.UNAUTHORIZED, RegistryRefusedError),
    ],
)
def test_a_failure_says_what_to_do(
    ids: HttpSchemaIds, registry: type[Registry], status: HTTPStatus, kind: type[Exception]
) -> None:
    registry.broken = status
    with pytest.raises(kind):
        ids.publish("AuditRecorded")


def test_nobody_answering_may_be_tried_again() -> None:
    ids = HttpSchemaIds("http://127.0.0.1:1", timeout_s=1.0)
    with pytest.raises(RegistryUnavailableError, match=r"http://127\.0\.0\.1:1 did not answer"):
        ids.schema(1)
    ids.close()


def test_the_setting_chooses(url: str) -> None:
    before = process_codec()._ids
    chosen = configure_codec(KafkaSettings(schema_registry_url=url))
    try:
        assert process_codec()._ids is chosen
        assert isinstance(configure_codec(KafkaSettings()), ManifestIds)
    finally:
        use_schema_ids(before)
    assert isinstance(chosen, HttpSchemaIds)
    chosen.close()
