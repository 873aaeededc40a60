"""Schema ids from a registry that speaks Confluent's protocol, instead of the committed manifest."""

import json
from collections.abc import Mapping
from typing import Any

import httpx

from headwater.errors import FatalError, RetryableError
from schemas.errors import UnknownSchemaError
from schemas.registry import ManifestIds, load_manifest
from schemas.shapes import full_name

_TIMEOUT_S = 5.0
_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_CLIENT_ERRORS = range(400, 500)
_TOO_MANY = 429
_REASON_CHARS = 500


class RegistryUnavailableError(RetryableError):
    """The registry did not answer in time or failed: the same question may be answered later."""


class RegistryRefusedError(FatalError):
    """The registry says no: the schema is not registered, not compatible, or the address is wrong."""


class HttpSchemaIds:
    """`SchemaIds` over HTTP. The subject is the record's full name, so lanes that share an event share its versions.

    The schemas are still those committed here: the registry only numbers them, and knows those of other builds. The
    codec asks once for each event and each id, in the calling thread; a call ends within `timeout_s`.
    """

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._url = url
        self._committed = ManifestIds(load_manifest())
        headers = {"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE}
        self._client = httpx.Client(base_url=url, timeout=timeout_s, headers=headers)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def current(self, event: str) -> tuple[int, dict[str, Any]]:
        """Return the id of this build's schema. Raises RegistryRefusedError when nobody has published it."""
        _, schema = self._committed.current(event)
        answer = self._ask("POST", f"/subjects/{full_name(event)}", _body(schema))
        if answer is None:
            raise RegistryRefusedError(
                f"{self._url} has no schema of {full_name(event)} that equals this build's: "
                "run `headwater schemas publish`"
            )
        return int(answer["id"]), schema

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Return the schema behind an id, of whichever build wrote it."""
        answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if answer is None:
            raise UnknownSchemaError(f"{self._url} knows no schema id {schema_id}: the bytes are damaged")
        schema: dict[str, Any] = json.loads(answer["schema"])
        return schema

    def publish(self, event: str) -> int:
        """Register this build's schema with FULL_TRANSITIVE compatibility and return its id. Safe to repeat."""
        _, schema = self._committed.current(event)
        subject = full_name(event)
        self._ask("PUT", f"/config/{subject}", {"compatibility": "FULL_TRANSITIVE"})
        answer = self._ask("POST", f"/subjects/{subject}/versions", _body(schema))
        if answer is None:
            raise RegistryRefusedError(f"{self._url} is no schema registry: check HEADWATER_KAFKA__SCHEMA_REGISTRY_URL")
        return int(answer["id"])

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        """Return the answer, or None for a 404."""
        try:
            response = self._client.request(method, path, content=None if body is None else json.dumps(body))
        except httpx.HTTPError as error:
            raise RegistryUnavailableError(f"{self._url} did not answer {method} {path}: {error!r}") from error
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.status_code in _CLIENT_ERRORS and response.status_code != _TOO_MANY:
            raise RegistryRefusedError(
                f"{self._url} refused {method} {path}: {response.status_code} {response.text[:500]}"
            )
        if response.is_error:
            raise RegistryUnavailableError(f"{self._url} failed on {method} {path}: {response.status_code}")
        answer: Mapping[str, Any] = response.json()
        return answer


def _body(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"schemaType": "AVRO", "schema": json.dumps(schema)}
