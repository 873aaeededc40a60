"""A stranger with a Kafka client, an Avro library and our committed schemas reads the public topics."""

import io
import json
import struct
from datetime import UTC, datetime, timedelta
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


def see_times(fact: dict[str, Any], *, occurred: datetime, began: datetime) -> None:
    """See that a revision passed each moment after the one before, from `began` until now, and what that took."""
    stages = [name for name in ("prepared_at", "embedded_at") if fact[name] is not None]
    common = [began, fact["observed_at"], fact["admitted_at"]]
    for way in ([*stages[:1], "searchable_by_words_at"], [*stages, "searchable_by_meaning_at"]):
        moments = [*common, *(fact[name] for name in way), datetime.now(UTC)]
        assert moments == sorted(moments), way
    assert fact["occurred_at"] == occurred
    done = max(fact["searchable_by_words_at"], fact["searchable_by_meaning_at"])
    assert fact["freshness_ms"] == round((done - fact["observed_at"]).total_seconds() * 1000)


def test_the_facts_about_a_document_are_public(library: Library) -> None:
    revisions = []
    for text, hours_ago in (("High water is at noon.", 5), ("High water is at one.", 1)):
        began = datetime.now(UTC)
        occurred = began.replace(microsecond=0) - timedelta(hours=hours_ago)
        accepted = library.put("tides", f"# Tides\n\n{text}", occurred_at=occurred.isoformat())
        revisions.append(library.settled(accepted)["revision"])
        (fact,) = events(
            library.platform, Topic.DOCUMENTS_INGESTED, document_id=accepted["document_id"], revision=revisions[-1]
        )
        assert (fact["external_id"], fact["op"], fact["lane"]) == ("tides", "upserted", "live")
        assert None not in {fact["prepared_at"], fact["embedded_at"]}
        see_times(fact, occurred=occurred, began=began)

    began = datetime.now(UTC)
    library.delete("tides")
    (fact,) = events(library.platform, Topic.DOCUMENTS_INGESTED, document_id=accepted["document_id"], op="deleted")
    assert [*revisions, fact["revision"]] == sorted({*revisions, fact["revision"]})
    see_times(fact, occurred=fact["occurred_at"], began=began)


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
