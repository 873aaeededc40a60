"""What the running product tells operators: one trace through the log, and no word of a document."""

import httpx
import pytest
from confluent_kafka import Message

from headwater.clients.kafka.config import topic_of
from headwater.demo.stage import wait_until
from headwater.local.ports import LOOPBACK
from headwater.telemetry.attributes import ALLOWED
from schemas.topics import Topic
from tests.support.collector import Arrived, Collector
from tests.support.library import Library
from tests.support.records import read_messages

# The first of these tests in a run waits until the whole product is up: minutes on a machine that many share.
pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

CANARY = "canary4e8a"
WAY = (
    Topic.DOCUMENTS_SUBMITTED,
    Topic.DOCUMENTS_CHANGED,
    Topic.CHUNKS_PREPARED,
    Topic.CHUNKS_EMBEDDED,
    Topic.DOCUMENTS_PROGRESSED,
    Topic.DOCUMENTS_INGESTED,
)
STAGES = ("query-api", "admit", "prepare", "embed", "index-vectors", "index-keywords", "status")
SENDERS = {f"headwater-{name}" for name in STAGES}


def traces(library: Library, topic: Topic, document_id: str) -> set[str]:
    """Return the ids of the traces in which a document's records were written."""
    settings = library.platform.settings
    messages = read_messages(settings.kafka.bootstrap_servers, topic_of(settings, topic))
    return {trace_of(message) for message in messages if document_id.encode() in (message.key() or b"")}


def trace_of(message: Message) -> str:
    sent = dict(message.headers() or ()).get("traceparent")
    assert isinstance(sent, bytes), f"{message.topic()}: a record without a trace"
    return sent.decode().split("-")[1]


def arrived(collector: Collector, trace: str) -> list[Arrived]:
    """Wait until every process on a document's way has sent its spans, which it does every few seconds; return them."""

    def complete() -> list[Arrived] | None:
        spans = collector.trace(trace)
        parents = {span.parent_id for span in spans if span.parent_id}
        whole = parents <= {span.span_id for span in spans}
        return spans if whole and {span.resource["service.name"] for span in spans} >= SENDERS else None

    spans, _ = wait_until("the spans to arrive", complete, every_s=0.5)
    return spans


def test_one_trace_leads_from_a_request_through_every_topic(library: Library, collector: Collector) -> None:
    accepted = library.put("lights", "# Lights\n\nThe leading lights are lit at dusk.")
    library.settled(accepted)
    document = accepted["document_id"]
    wait_until("the document to be a public fact", lambda: traces(library, Topic.DOCUMENTS_INGESTED, document))
    [trace] = traces(library, Topic.DOCUMENTS_SUBMITTED, document)
    assert {topic: traces(library, topic, document) for topic in WAY} == {topic: {trace} for topic in WAY}

    spans = arrived(collector, trace)
    begun = [(span.name, span.resource["service.name"]) for span in spans if not span.parent_id]
    assert begun == [("request", "headwater-query-api")]
    assert {name for span in spans for name in span.attributes} <= ALLOWED


def test_no_log_no_metric_and_no_span_of_the_product_quotes_what_it_works_on(
    library: Library, collector: Collector
) -> None:
    accepted = library.put(CANARY, f"# {CANARY}\n\nThe {CANARY} sings at noon.", attributes={"note": CANARY})
    library.settled(accepted)
    broken = library.upload(f"{CANARY}.pdf", f"%PDF-1.7\n{CANARY}".encode(), name=f"{CANARY}.pdf")
    wait_until("the broken file to fail", lambda: library.state(broken["document_id"]).get("status") == "failed")
    where = {"field": "attributes.note", "equals": CANARY}
    assert library.search(f"what does {CANARY} sing?", explain=True)
    assert library.search(CANARY, filters=where)
    assert CANARY in library.ask(f"When does the {CANARY} sing?")["answer"]

    platform = library.platform
    key = platform.settings.api.bootstrap_key_file.read_text().strip()
    told = {path.name: path.read_text(errors="replace") for path in platform.places.logs.glob("*.log")}
    for process in platform.processes:
        told[f"metrics of {process.name}"] = httpx.get(f"http://{LOOPBACK}:{process.port}/metrics").text
    assert len(told) > len(platform.processes)
    quoting = [name for name, text in told.items() if any(word in text for word in (CANARY, key))]
    assert quoting == []
    [trace] = traces(library, Topic.DOCUMENTS_SUBMITTED, accepted["document_id"])
    assert arrived(collector, trace)
    assert collector.quoting(CANARY, key) == []
