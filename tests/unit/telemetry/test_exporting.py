"""Spans on their way to a collector: what arrives, what never does, and that nothing waits for it."""

import asyncio
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest
from opentelemetry import trace
from pydantic import SecretStr

from headwater.local.ports import free_ports
from headwater.settings import Settings, TelemetrySettings
from headwater.telemetry.attributes import ALLOWED
from headwater.telemetry.tracing import LAST_SPANS_S, inject_headers, open_tracers, span
from streams.harness.attempts import AttemptJournal
from tests.support.collector import Collector, collecting
from tests.support.events import changed
from tests.support.stages import FakeDelivery
from tests.unit.telemetry.test_traces import PassingOn, settler

CANARY: Final = "canary2b6d"
HEADERS: Final = "HEADWATER_TELEMETRY__OTLP_HEADERS"
QUEUE: Final = 2048  # spans that wait to be sent; more than these are dropped
# A process as all of ours begin. It works on what nobody outside may see, fails at some of it, and prints its context.
PROCESS: Final = f"""
import atexit, json, sys, time
from opentelemetry import trace
from headwater.settings import Settings
from headwater.telemetry.logging import configure_logging
from headwater.telemetry.tracing import configure_tracing, inject_headers, span

name, spans, received = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
telemetry = Settings().telemetry
# The last thing that runs: what was registered later, by the tracing too, runs before it.
atexit.register(lambda: print(time.monotonic() - ended))
configure_logging(telemetry, process=name)
configure_tracing(telemetry, process=name)
headers = tuple((key, value.encode()) for key, value in received.items())
with span(name, headers=headers or None, stage=name, revision=7):
    with trace.get_tracer("a vendor's").start_as_current_span("POST /{CANARY}", attributes={{"db.query": "{CANARY}"}}):
        sent = inject_headers()
    try:
        with span("elasticsearch", attempt=2):
            raise ValueError("quotes {CANARY}")
    except ValueError:
        pass
for _ in range(spans):
    with span("milvus"):
        pass
if "--flush" in sys.argv:
    trace.get_tracer_provider().force_flush()
print(json.dumps({{key: value.decode() for key, value in sent}}))
ended = time.monotonic()
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A process that has ended: the context that it would send on, what it logged, how long its end took."""

    sent: Mapping[str, str]
    logged: str
    end_s: float


def ran(
    endpoint: str,
    name: str = "embed",
    *,
    spans: int = 0,
    received: Mapping[str, str] | None = None,
    flush: bool = False,
    variables: Mapping[str, str] | None = None,
) -> Ran:
    """Run one process to its end. `spans`: how many it makes besides its own two."""
    own = {"OTLP_ENDPOINT": endpoint, "SERVICE_NAME": f"headwater-{name}"}
    environment = {**os.environ, **{f"HEADWATER_TELEMETRY__{key}": value for key, value in own.items()}}
    arguments = [name, str(spans), json.dumps(received or {}), *(["--flush"] if flush else [])]
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS, *arguments],
        env={**environment, **(variables or {})},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    sent, end_s = ended.stdout.splitlines()
    return Ran(sent=json.loads(sent), logged=ended.stderr, end_s=float(end_s))


def test_spans_arrive_with_their_process_and_with_nothing_that_is_not_allowlisted(collector: Collector) -> None:
    secret = {"authorization": f"Bearer {CANARY}-header"}
    logged = ran(collector.endpoint, variables={HEADERS: json.dumps(secret)}).logged
    spans = {each.name: each for each in collector.spans()}
    assert {name: dict(each.attributes) for name, each in spans.items()} == {
        "embed": {"stage": "embed", "revision": 7},
        "elasticsearch": {"attempt": 2},
    }
    assert {name for each in spans.values() for name in each.attributes} <= ALLOWED
    assert (spans["elasticsearch"].status, spans["elasticsearch"].events) == ("ValueError", 0)
    for each in spans.values():
        own = {name: value for name, value in each.resource.items() if not name.startswith("telemetry.sdk.")}
        assert own == {"service.name": "headwater-embed", "service.instance.id": "embed"}
    assert collector.headers[0]["authorization"] == secret["authorization"]
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    assert collector.quoting(CANARY) == []
    assert CANARY not in logged


def test_one_trace_leads_from_one_process_to_the_next(collector: Collector) -> None:
    sent = ran(collector.endpoint, "prepare").sent
    ran(collector.endpoint, "embed", received=sent)
    spans = {each.name: each for each in collector.spans() if each.name != "elasticsearch"}
    assert spans["embed"].trace_id == spans["prepare"].trace_id
    assert (spans["prepare"].parent_id, spans["embed"].parent_id) == ("", spans["prepare"].span_id)
    assert {each.resource["service.name"] for each in spans.values()} == {"headwater-prepare", "headwater-embed"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        (HEADERS, json.dumps({"authorization": f"{CANARY}\nx"})),  # no header that HTTP can carry
        ("OTEL_EXPORTER_OTLP_HEADERS", f"authorization {CANARY};"),  # the exporter's own variable, not as it wants it
        ("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={CANARY}"),
    ],
)
def test_what_the_collector_asks_for_is_never_logged(collector: Collector, variable: str, value: str) -> None:
    collector.status = HTTPStatus.UNAUTHORIZED
    variables = {"HEADWATER_TELEMETRY__LOG_LEVEL": "DEBUG", variable: value}
    logged = ran(collector.endpoint, flush=True, variables=variables).logged
    assert "Failed to export" in logged
    assert CANARY not in logged


@pytest.mark.parametrize("said", [f"no JSON at all {CANARY}", f'["{CANARY}"]', f'{{"authorization": ["{CANARY}"]}}'])
def test_a_wrong_setting_is_refused_by_its_name_and_not_quoted(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(HEADERS, said)
    with pytest.raises(ValueError, match="telemetry") as refused:  # pydantic's own errors, for either fault
        Settings()
    assert CANARY not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("away", [True, False], ids=["away", "hanging"])
def test_a_process_ends_in_time_whatever_becomes_of_its_spans(collector: Collector, *, away: bool) -> None:
    collector.answering.clear()
    nobody = f"http://127.0.0.1:{free_ports(('collector',))['collector']}/v1/traces"
    took_s = ran(nobody if away else collector.endpoint, spans=2 * QUEUE).end_s
    assert took_s < LAST_SPANS_S + 4  # of a busy machine's own; the exporter itself would wait for ten and more
    assert collector.spans() == []


async def test_documents_are_settled_while_the_collector_hangs(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    headers = {"authorization": SecretStr("x")}
    settings = TelemetrySettings(otlp_endpoint=collector.endpoint, otlp_headers=headers)
    provider = open_tracers(settings, process="embed")
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    collector.answering.clear()
    stage, records = PassingOn(), FakeDelivery()
    settling = settler(stage, AttemptJournal.open(tmp_path), "embed")
    try:
        for _ in range(2 * QUEUE):  # the queue is full, and a request is under way that nobody answers
            with span("milvus"):
                pass
        async with asyncio.timeout(30):
            for _ in range(50):
                await settling.settle(records.make(changed(), headers=inject_headers()))
        assert collector.headers
        assert (len(records.settled), len(stage.sent)) == (50, 50)
        assert all(dict(each)["traceparent"] for each in stage.sent)
    finally:
        collector.answering.set()
        await asyncio.to_thread(provider.shutdown)
    # What could not wait was dropped, the oldest of it, and never a document.
    assert len(collector.spans()) <= 2 * QUEUE
    assert sum(each.name == "embed" for each in collector.spans()) == 50
