"""Adding a version: the one way in which schema files and manifest lines come to be."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from schemas.compatibility import Change, changes_between, refusals, roll_out_order, without_docs
from schemas.derivation import derive_schema
from schemas.errors import ContractError
from schemas.registry import SCHEMAS_FOLDER, Registration, fingerprint, parse_manifest
from schemas.shapes import snake_case


def render_schema(schema: Any) -> bytes:
    """Write a schema as it is committed."""
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()


def render_manifest(registrations: tuple[Registration, ...]) -> str:
    """Write a manifest as it is committed: a line an id, so that a diff only adds."""
    lines = ",\n".join(f"  {json.dumps(asdict(each))}" for each in registrations)
    return f"[\n{lines}\n]\n"


def plan_version(event_type: type, *, folder: Path = SCHEMAS_FOLDER) -> tuple[Registration, tuple[Change, ...]] | None:
    """Return the version that the class asks for and its changes; None when the latest one says the same.

    Raises ContractError when it would not be FULL with every earlier version.
    """
    registrations = parse_manifest((folder / "manifest.json").read_text(encoding="utf-8"))
    name = event_type.__name__
    versions = [each for each in registrations if each.event == name]
    wanted = derive_schema(event_type)
    changes: tuple[Change, ...] = ()
    for each in versions:
        schema = json.loads((folder / "avro" / each.file).read_bytes())
        changes = changes_between(schema, wanted)
        refused = refusals(changes)
        if refused:
            reasons = "\n".join(f"  {change}" for change in refused)
            raise ContractError(
                f"{name} would not be FULL with its version {each.version}:\n{reasons}\n"
                f"  roll-out would be {roll_out_order(refused)}"
            )
        if each is versions[-1] and without_docs(schema) == without_docs(wanted):
            return None
    version = len(versions) + 1
    registration = Registration(
        id=len(registrations) + 1,
        event=name,
        version=version,
        file=f"{snake_case(event_type)}.v{version}.avsc",
        sha256=fingerprint(render_schema(wanted)),
    )
    return registration, changes


def write_version(event_type: type, registration: Registration, *, folder: Path = SCHEMAS_FOLDER) -> None:
    """Write the schema file and add the manifest's line."""
    manifest = folder / "manifest.json"
    registrations = parse_manifest(manifest.read_text(encoding="utf-8"))
    (folder / "avro" / registration.file).write_bytes(render_schema(derive_schema(event_type)))
    manifest.write_text(render_manifest((*registrations, registration)), encoding="utf-8")
