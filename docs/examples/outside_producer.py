# /// script
# requires-python = ">=3.11"
# dependencies = ["confluent-kafka", "fastavro"]
# ///
"""A producer that is not part of Headwater: submits one document, or its deletion, in Avro (docs/producers.md).

It imports nothing of Headwater's. What it needs are the committed schemas (`schemas/manifest.json`, `schemas/avro/`),
and the right to write the topic and the blob store's folder.
"""

import argparse
import hashlib
import io
import json
import struct
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Message, Producer

EVENT = "DocumentSubmitted"
DELIVERY_TIMEOUT_S = 30


def document_id(tenant: str, source: str, external_id: str) -> str:
    """Name the document: 128 bits of SHA-256 over the three parts, each after its length in four bytes."""
    digest = hashlib.sha256()
    for part in (tenant, source, external_id):
        raw = part.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.hexdigest()[:32]


def newest_schema(folder: Path) -> tuple[int, Any]:
    """Return the id and the parsed schema of the event's newest version."""
    lines = json.loads((folder / "manifest.json").read_text())
    newest = max((line for line in lines if line["event"] == EVENT), key=lambda line: line["version"])
    return newest["id"], fastavro.parse_schema(json.loads((folder / "avro" / newest["file"]).read_text()))


def framed(event: dict[str, Any], schema_id: int, schema: Any) -> bytes:
    """Write the event in Confluent's framing: a zero byte, the schema's id, the Avro body."""
    out = io.BytesIO(struct.pack(">bI", 0, schema_id))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, schema, event)
    return out.getvalue()


def store(content: bytes, *, blobs: Path, tenant: str) -> dict[str, Any]:
    """Put the content where its hash says, before anything refers to it; whole or not at all."""
    digest = hashlib.sha256(content).hexdigest()
    path = blobs / tenant / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{digest}.{uuid.uuid4().hex}")
    fresh.write_bytes(content)
    fresh.replace(path)
    return {"sha256": digest, "size_bytes": len(content)}


def submission(options: argparse.Namespace) -> dict[str, Any]:
    """Return the event. Everything that the schema has no default for must be there."""
    now = datetime.now(UTC)
    return {
        "event_id": uuid.uuid4(),
        "tenant_id": options.tenant,
        "occurred_at": now,
        "observed_at": now,
        "document_id": document_id(options.tenant, options.source, options.external_id),
        "source": options.source,
        "external_id": options.external_id,
        "op": "put" if options.file else "delete",
        "lane": "live",
        "source_version": time.time_ns(),  # must grow with the document's states: a version of your own is better
        "expected_revision": None,
        "actor": None,
        "state": state(options) if options.file else None,
        "patch": None,
    }


def state(options: argparse.Namespace) -> dict[str, Any]:
    """Return all that there is to say of the document. Who may read is not left out: without, it is for nobody."""
    return {
        "knowledge_base": options.knowledge_base,
        "title": options.title or options.external_id,
        "media_type": options.media_type,
        "content": store(options.file.read_bytes(), blobs=options.blobs, tenant=options.tenant),
        "access": {"clauses": [{"principals": options.reader}], "deny": []},
    }


def send(event: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Send the event and return where the broker stored it."""
    producer = Producer(
        {
            "bootstrap.servers": options.bootstrap,
            "enable.idempotence": True,  # and with it acks=all
            "partitioner": "murmur2_random",  # Kafka's own; librdkafka's default is another one, and would be refused
        }
    )
    settled: list[Message] = []
    failed: list[str] = []
    producer.produce(
        options.topic,
        framed(event, *newest_schema(options.schemas)),
        key=f"{event['tenant_id']}/{event['document_id']}",
        on_delivery=lambda error, message: failed.append(str(error)) if error else settled.append(message),
    )
    producer.flush(DELIVERY_TIMEOUT_S)
    if not settled:
        raise SystemExit(f"not delivered: {failed or 'no answer'}")
    return {"partition": settled[0].partition(), "offset": settled[0].offset()}


def parsed() -> argparse.Namespace:
    """Return the options; without --file the document is deleted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("external_id")
    parser.add_argument("--file", type=Path, help="its content; without it the document is deleted")
    parser.add_argument("--title")
    parser.add_argument("--media-type")
    parser.add_argument("--reader", action="append", default=[], help="user:ID, group:SOURCE:ID or everyone")
    parser.add_argument("--tenant", default="default")
    parser.add_argument("--source", required=True)
    parser.add_argument("--knowledge-base", required=True)
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--topic", default="rag.documents.submitted")
    parser.add_argument("--schemas", type=Path, default=Path("schemas"))
    parser.add_argument("--blobs", type=Path, default=Path(".headwater/blobs"))
    return parser.parse_args()


if __name__ == "__main__":
    chosen = parsed()
    made = submission(chosen)
    stored = send(made, chosen)
    sys.stdout.write(json.dumps({"document_id": made["document_id"], **stored}) + "\n")
