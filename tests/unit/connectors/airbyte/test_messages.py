"""Lines of the protocol are read; what is meant as one and is none is not passed over."""

import json
from typing import Any

import pytest

from connectors.airbyte.messages import (
    Blame,
    Catalog,
    Checked,
    Complaint,
    Failure,
    MessageError,
    Record,
    State,
    StreamComplete,
    message_of,
)

DESCRIPTOR = {"stream_descriptor": {"name": "pages", "namespace": "x"}}


def said(kind: str, **what: Any) -> Any:
    return message_of(json.dumps({"type": kind, **what}).encode())


def trace(kind: str, **what: Any) -> Any:
    return said("TRACE", trace={"type": kind, "emitted_at": 0, **what})


def test_a_record_is_read() -> None:
    found = said(
        "RECORD", record={"namespace": "x", "stream": "pages", "data": {"id": 1}, "emitted_at": 1_772_442_000_500}
    )
    assert isinstance(found, Record)
    assert (found.stream, found.data, found.emitted_at.isoformat()) == (
        "pages",
        {"id": 1},
        "2026-03-02T09:00:00.500000+00:00",
    )


def test_states_are_given_back_as_they_were_said_less_their_counts() -> None:
    stream = {"type": "STREAM", "stream": {**DESCRIPTOR, "stream_state": {"cursor": 7}}}
    assert said("STATE", state={**stream, "sourceStats": {"recordCount": 2.0}}) == State(stream="pages", message=stream)
    whole = {"type": "GLOBAL", "global": {"shared_state": {"lsn": 1}, "stream_states": []}}
    assert said("STATE", state=whole) == State(stream=None, message=whole)
    assert said("STATE", state={"data": {"pages": 7}}) == State(stream=None, message={"data": {"pages": 7}})


@pytest.mark.parametrize("status", ["STARTED", "RUNNING", "INCOMPLETE"])
def test_only_one_status_calls_a_stream_complete(status: str) -> None:
    assert trace("STREAM_STATUS", stream_status={**DESCRIPTOR, "status": status}) is None
    whole = trace("STREAM_STATUS", stream_status={**DESCRIPTOR, "status": "COMPLETE"})
    assert whole == StreamComplete(stream="pages")


@pytest.mark.parametrize(
    ("kind", "blame"),
    [
        ("config_error", Blame.SETTINGS),
        ("transient_error", Blame.SOURCE),
        ("system_error", Blame.READER),
        (None, Blame.READER),
    ],
)
def test_a_failure_says_whose_it_is(kind: str | None, blame: Blame) -> None:
    error = {"message": "away", "internal_message": "a secret", **({"failure_type": kind} if kind else {})}
    assert trace("ERROR", error=error) == Failure(blame=blame, text="away")


def test_the_rest_is_read() -> None:
    assert said("CATALOG", catalog={"streams": [{"name": "pages"}]}) == Catalog(streams=({"name": "pages"},))
    assert said("CONNECTION_STATUS", connectionStatus={"status": "SUCCEEDED"}) == Checked(succeeded=True, text="")
    failed = {"status": "FAILED", "message": "no"}
    assert said("CONNECTION_STATUS", connectionStatus=failed) == Checked(succeeded=False, text="no")
    assert said("CONNECTION_STATUS", connectionStatus={"status": "UNKNOWN"}) == Checked(succeeded=False, text="")
    for level in ("ERROR", "FATAL"):
        assert said("LOG", log={"level": level, "message": "no"}) == Complaint(text="no")


@pytest.mark.parametrize(
    "line",
    [
        b"Downloading nltk_data ...",
        b"",
        b'{"type": "LOG", "log": {"level": "INFO", "message": "m"}}',
        b'{"type": "CONTROL", "control": {}}',
        b'{"type": "TRACE", "trace": {"type": "ESTIMATE", "emitted_at": 0, "estimate": {"name": "pages"}}}',
        b'{"level": "INFO"}',
    ],
)
def test_what_is_of_no_concern_is_passed_over(line: bytes) -> None:
    assert message_of(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b'{"type": "RECORD", "record": {"stream": "pages", "da',
        b'{"type": "RECORD", "record": {"stream": "pages", "emitted_at": 0}}',
        b'{"type": "RECORD", "record": {"stream": "pages", "data": {}, "emitted_at": 1e99}}',
        b'{"type": "RECORD", "record": []}',
        b'{"type": "STATE"}',
        b'{"type": "STATE", "state": []}',
        b' \t{"type": "STATE"',
        b'{"type": "RECORD", "record": ' + b"[" * 100_000,
        b'{"a": "\xff"}',
        b'{"type": ["RECORD"]}',
    ],
)
def test_what_is_meant_as_a_message_and_is_none_is_told(line: bytes) -> None:
    with pytest.raises(MessageError, match="Airbyte protocol"):
        message_of(line)
