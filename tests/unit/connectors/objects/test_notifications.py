"""What a bucket tells of itself, in each of its wrappings."""

import json
from typing import Any

import pytest

from connectors.objects.notifications import MAX_NOTIFICATION_BYTES, NotificationError, keys_to_look_at


def record(key: str, *, bucket: str = "papers", name: str = "ObjectCreated:Put") -> dict[str, Any]:
    entity = {
        "s3SchemaVersion": "1.0",
        "bucket": {"name": bucket},
        "object": {"key": key, "sequencer": "0055AED6DCD90281E5"},
    }
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "s3": entity}


EVENT = {"Records": [record("a+b/%C3%BC%2B.txt"), record("gone", name="ObjectRemoved:Delete"), record("gone")]}
NAMED = ("a b/ü+.txt", "gone")
BUS = {
    "version": "0",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "detail": {"bucket": {"name": "papers"}, "object": {"key": "a+b/%25 ü"}},
}


@pytest.mark.parametrize(
    ("event", "keys"),
    [
        (EVENT, NAMED),
        ({"Type": "Notification", "Message": json.dumps(EVENT)}, NAMED),
        ({"MessageId": "1", "Body": json.dumps({"Type": "Notification", "Message": json.dumps(EVENT)})}, NAMED),
        ({"Records": [{"messageId": "1", "body": json.dumps(EVENT)}]}, NAMED),
        ({"EventName": "s3:ObjectCreated:Put", "Key": "papers/a b/ü+.txt", **EVENT}, NAMED),  # MinIO
        (BUS, ("a+b/%25 ü",)),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "papers"}, ()),
        ({"Records": [record("x", bucket="another")]}, ()),
        ({"Records": []}, ()),
    ],
    ids=["s3", "sns", "sqs", "function", "minio", "bus", "test", "another", "none"],
)
def test_keys_are_found_in_every_wrapping(event: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert keys_to_look_at(json.dumps(event).encode(), bucket="papers") == keys


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"Message": "not json"}',
        b'{"Message": 7}',
        b'{"Records": [{"s3": {"bucket": {"name": "papers"}, "object": {"key": 7}}}]}',
        b'{"Records": {"s3": 1}}',
        b'{"source": "aws.s3"}',
        b"[" * 100_000,
        b" " * (MAX_NOTIFICATION_BYTES + 1),
    ],
)
def test_what_is_no_event_is_refused(raw: bytes) -> None:
    with pytest.raises(NotificationError, match="notification: "):
        keys_to_look_at(raw, bucket="papers")


def test_wrapping_without_end_is_refused() -> None:
    event = json.dumps(EVENT)
    for _ in range(6):
        event = json.dumps({"Message": event})
    with pytest.raises(NotificationError):
        keys_to_look_at(event.encode(), bucket="papers")
