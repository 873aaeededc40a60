"""The topics that others may write or read, as an AsyncAPI 3.0 document: made from the catalogue and the manifest.

Source: AsyncAPI Specification 3.0.0 and its Kafka bindings 0.5.0.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from schemas.catalogue import CatalogueEntry, Cleanup, Visibility, load_catalogue
from schemas.registry import SCHEMAS_FOLDER, Registration, load_manifest
from schemas.topics import PER_GENERATION, Topic

ASYNCAPI_FILE: Final = SCHEMAS_FOLDER.parent / "docs" / "asyncapi.yaml"
OUTSIDE: Final = "outside"  # a producer of the catalogue: programs of others, under sources of their own

_HEAD: Final = (
    "# Made by `headwater schemas asyncapi` from schemas/catalogue and schemas/manifest.json: not edited by hand.\n"
)
_BINDING: Final = "0.5.0"
_FORMAT: Final = "application/vnd.apache.avro;version=1.9.0"
_DAY_MS: Final = 24 * 3600 * 1000
_DESCRIPTION: Final = (
    "What programs of others may write to and read from Headwater's log. The guide is docs/producers.md. "
    "A value is a zero byte, the schema's id in four bytes (big-endian), and the Avro body: Confluent's framing. Ids "
    "are those of schemas/manifest.json, or of the schema registry where the installation has one. Keys are UTF-8; a "
    "record lies in the partition that Kafka's own (Java) partitioner chooses for its key: with librdkafka, set "
    "partitioner=murmur2_random. Readers read committed records only. An installation may set a prefix before every "
    "address (HEADWATER_KAFKA__TOPIC_PREFIX). Actions are Headwater's: what it receives, others write."
)


def document() -> str:
    """Return the document as YAML; the same contracts give the same bytes. Raises ContractError as the catalogue."""
    entries = [entry for entry in load_catalogue().values() if is_open(entry)]
    events = {entry.event: _newest(entry.event) for entry in entries}
    made = {
        "asyncapi": "3.0.0",
        "info": {"title": "Headwater", "version": "1.0.0", "description": _DESCRIPTION},
        "servers": {"kafka": {"host": "127.0.0.1:9092", "protocol": "kafka", "description": "The embedded stack's."}},
        "channels": {_channel(entry.topic): _channel_of(entry) for entry in entries},
        "operations": dict(operation for entry in entries for operation in _operations(entry)),
        "components": {
            "messages": {event: _message(events[event], _key_of(event, entries)) for event in sorted(events)}
        },
    }
    return _HEAD + yaml.safe_dump(made, sort_keys=False, width=120, allow_unicode=True)


def is_open(entry: CatalogueEntry) -> bool:
    """Say whether others may write or read a topic. A generation's own topics come and go with it: they are not."""
    return entry.topic not in PER_GENERATION and (_is_written(entry) or entry.visibility is Visibility.PUBLIC)


def write(file: Path = ASYNCAPI_FILE) -> None:
    """Write the committed document anew."""
    file.write_text(document(), encoding="utf-8")


def _is_written(entry: CatalogueEntry) -> bool:
    return OUTSIDE in entry.producers


def _newest(event: str) -> Registration:
    return max((each for each in load_manifest() if each.event == event), key=lambda each: each.version)


def _channel(topic: Topic) -> str:
    first, *rest = topic.removeprefix("rag.").split(".")
    return first + "".join(word.title() for word in rest)


def _channel_of(entry: CatalogueEntry) -> Mapping[str, Any]:
    kept: dict[str, Any] = {"cleanup.policy": [entry.cleanup.value]}
    if entry.cleanup is Cleanup.DELETE and entry.retention_days is not None:
        kept["retention.ms"] = int(entry.retention_days * _DAY_MS)
    return {
        "address": entry.topic.value,
        "description": entry.description,
        "messages": {entry.event: {"$ref": f"#/components/messages/{entry.event}"}},
        "bindings": {"kafka": {"topicConfiguration": kept, "bindingVersion": _BINDING}},
    }


def _operations(entry: CatalogueEntry) -> list[tuple[str, Mapping[str, Any]]]:
    name = _channel(entry.topic)
    found: list[tuple[str, Mapping[str, Any]]] = []
    at = {"channel": {"$ref": f"#/channels/{name}"}}
    if _is_written(entry):
        found.append((f"receive{name[0].upper()}{name[1:]}", {"action": "receive", **at}))
    if entry.visibility is Visibility.PUBLIC:
        found.append((f"send{name[0].upper()}{name[1:]}", {"action": "send", **at}))
    return found


def _key_of(event: str, entries: list[CatalogueEntry]) -> str:
    return next(entry.key for entry in entries if entry.event == event)


def _message(registration: Registration, key: str) -> Mapping[str, Any]:
    return {
        "name": registration.event,
        "contentType": "application/octet-stream",
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": key},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "bindingVersion": _BINDING,
            }
        },
        "payload": {"schemaFormat": _FORMAT, "schema": {"$ref": f"../schemas/avro/{registration.file}"}},
        "x-schema-id": registration.id,
    }
