"""Which number stands for which schema: what the five bytes before every event mean."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from schemas.errors import ContractError, UnknownSchemaError

SCHEMAS_FOLDER = Path(__file__).parent
MANIFEST_FILE = SCHEMAS_FOLDER / "manifest.json"
AVRO_FOLDER = SCHEMAS_FOLDER / "avro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One line of the manifest: this id is this version of this event's schema, for ever."""

    id: int
    event: str  # class name, also the record's name
    version: int  # 1, 2, ... of this event
    file: str  # below schemas/avro, never edited once others have it
    sha256: str  # of the file's bytes


class SchemaIds(Protocol):
    """Gives schemas their ids. Answers are final, so callers cache them."""

    def current(self, event: str) -> tuple[int, dict[str, Any]]:
        """Return id and schema that producers of this event write with. Raises ContractError when there is none."""

    def schema(self, schema_id: int) -> dict[str, Any]:
        """Return the schema behind an id. Raises UnknownSchemaError."""


class ManifestIds:
    """Ids from the committed, append-only manifest: needs no service."""

    def __init__(self, registrations: Sequence[Registration], *, avro_folder: Path = AVRO_FOLDER) -> None:
        self._folder = avro_folder
        self._by_id = {each.id: each for each in registrations}
        self._latest: dict[str, Registration] = {}
        for each in registrations:
            latest = self._latest.get(each.event)
            if latest is None or each.version > latest.version:
                self._latest[each.event] = each

    def current(self, event: str) -> tuple[int, dict[str, Any]]:
        latest = self._latest.get(event)
        if latest is None:
            raise ContractError(f"{event} has no line in schemas/manifest.json: run `headwater schemas add {event}`")
        return latest.id, self.schema(latest.id)

    def schema(self, schema_id: int) -> dict[str, Any]:
        registration = self._by_id.get(schema_id)
        if registration is None:
            raise UnknownSchemaError(
                f"schema id {schema_id} is not in schemas/manifest.json: the bytes are damaged, or their producer is "
                "newer than this build (consumers are rolled out first)"
            )
        schema: dict[str, Any] = json.loads(read_schema_file(registration, self._folder))
        return schema


def read_schema_file(registration: Registration, folder: Path = AVRO_FOLDER) -> bytes:
    """Return the bytes of a registered schema. Raises ContractError when the file is gone or was edited."""
    path = folder / registration.file
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ContractError(f"{path} is registered as id {registration.id} but missing: restore it") from error
    if fingerprint(content) != registration.sha256:
        raise ContractError(
            f"{path} differs from its registration (id {registration.id}): a registered schema is never edited; "
            f"restore it and add a version with `headwater schemas add {registration.event}`"
        )
    return content


def fingerprint(content: bytes) -> str:
    """SHA-256 of a schema file in hex."""
    return hashlib.sha256(content).hexdigest()


def parse_manifest(text: str) -> tuple[Registration, ...]:
    """Read a manifest. Raises ContractError when an id or a version is out of order or used twice."""
    try:
        registrations = tuple(Registration(**line) for line in json.loads(text))
    except (ValueError, TypeError) as error:
        raise ContractError(
            f"schemas/manifest.json is a list of {{id, event, version, file, sha256}}: {error}"
        ) from error
    versions: dict[str, int] = {}
    for position, each in enumerate(registrations, start=1):
        if each.id != position:
            raise ContractError(
                f"schemas/manifest.json: line {position} has id {each.id}; ids count up from 1 without gaps"
            )
        versions[each.event] = versions.get(each.event, 0) + 1
        if each.version != versions[each.event]:
            raise ContractError(
                f"schemas/manifest.json: id {each.id} is version {each.version} of {each.event}, "
                f"expected {versions[each.event]}"
            )
    return registrations


@cache
def load_manifest() -> tuple[Registration, ...]:
    """Read the committed manifest, once a process."""
    return parse_manifest(MANIFEST_FILE.read_text(encoding="utf-8"))
