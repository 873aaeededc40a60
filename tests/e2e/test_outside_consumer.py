"""A stranger with a Kafka client, an Avro library and our committed schemas reads the public topics."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import fastavro
import pytest

from headwater.clients.kafka.config import topic_of
from headwater.demo.stage import wait_until
from schemas.topics import Topic
from tests.support.library import READER, Library
from tests.support.platform import Platform
from tests.support.records import read_topic

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

SCHEMAS = Path("schemas")
MAGIC = 0


def decoded(raw: bytes) -> dict[str, Any]:
    """Read one record as any client of a schema registry does: a zero byte, the schema's id, Avro."""
    magic, schema_id = struct.unpack(">bI", raw[:5])
    assert magic == MAGIC
    (entry,) = [each for each in json.loads((SCHEMAS / "manifest.json").read_text()) if each["id"] == schema_id]
    schema = fastavro.parse_schema(json.loads((SCHEMAS / "avro" / entry["file"]).read_text()), {})
    record = fastavro.schemaless_reader(io.BytesIO(raw[5:]), schema, None)
    assert isinstance(record, dict)
    return record


def events(platform: Platform, topic: Topic, **wanted: object) -> list[dict[str, Any]]:
    """Return the records of a topic that have these values, once there are any."""

    def matching() -> list[dict[str, Any]]:
        values = read_topic(platform.settings.kafka.bootstrap_servers, topic_of(platform.settings, topic))
        found = map(decoded, values)
        return [record for record in found if all(record[name] == value for name, value in wanted.items())]

    found, _ = wait_until(f"{topic} to say {sorted(wanted)}", matching)
    return found


def test_the_facts_about_a_document_are_public(library: Library) -> None:
    accepted = library.put("tides", "# Tides\n\nHigh water is at noon.")
    state = library.settled(accepted)
    (fact,) = events(library.platform, Topic.DOCUMENTS_INGESTED, document_id=accepted["document_id"])
    assert (fact["external_id"], fact["revision"], fact["op"]) == ("tides", state["revision"], "upserted")
    assert fact["occurred_at"] <= fact["observed_at"]

    library.delete("tides")
    facts, _ = wait_until(
        "the deletion to be public",
        lambda: [
            each
            for each in events(library.platform, Topic.DOCUMENTS_INGESTED, document_id=accepted["document_id"])
            if each["op"] == "deleted"
        ],
    )
    assert facts[0]["revision"] > state["revision"]


def test_who_changed_what_is_public(library: Library) -> None:
    accepted = library.put("tides", "# Tides\n\nHigh water is at noon.")
    resource = f"documents/{accepted['document_id']}"
    trail = events(library.platform, Topic.AUDIT_RECORDED, resource=resource, outcome="accepted")
    assert {record["actor"] for record in trail} == {"user:admin"}


def test_a_question_and_what_its_caller_thought_of_the_answer_are_public(library: Library) -> None:
    library.settled(library.put("pilot", "# Pilot\n\nThe pilot boards at buoy seven, one hour before the berth."))
    answer = library.ask("Where does the pilot board?")
    query_id = answer["meta"]["query_id"]
    opinion = {"query_id": query_id, "rating": 2, "type": "incomplete", "comment": "Which channel?"}
    library.platform.acting_as(READER).call("POST", "/feedback", json=opinion)

    (query,) = events(library.platform, Topic.QUERIES_EXECUTED, query_id=query_id)
    assert (query["kind"], query["user"], query["answered"]) == ("answer", f"user:{READER}", True)
    assert {passage["document_id"] for passage in query["passages"]} == {answer["sources"][0]["document_id"]}
    (feedback,) = events(library.platform, Topic.FEEDBACK_RECEIVED, query_id=query_id)
    assert {name: feedback[name] for name in opinion} == opinion
    (review,) = events(library.platform, Topic.REVIEWS_REQUESTED, query_id=query_id)
    assert review["documents"] == [answer["sources"][0]["document_id"]]
