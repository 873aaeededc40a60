"""What a bucket tells of itself: events of S3 and MinIO, as they are or wrapped by SNS, SQS and EventBridge.

Source: Amazon S3 User Guide, "Event message structure" and "EventBridge event message structure". Nothing in them is
believed but that a key may be worth a look: they come late, twice, out of order, or from somebody else.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_plus

from headwater.errors import PoisonError

MAX_NOTIFICATION_BYTES: Final = 1024 * 1024
_DEEPEST: Final = 4  # an event in SNS in SQS in a bus: more is not one of ours
_WRAPPED: Final = ("Message", "body", "Body")


class NotificationError(PoisonError):
    """Something that is no event of a bucket."""


def keys_to_look_at(raw: bytes, *, bucket: str) -> tuple[str, ...]:
    """Return the keys of one bucket that an event names, each once, in its order; none for a test event.

    Raises NotificationError for what is no event at all.
    """
    if len(raw) > MAX_NOTIFICATION_BYTES:
        raise NotificationError(f"notification: {len(raw)} bytes, at most {MAX_NOTIFICATION_BYTES}")
    try:
        found = list(_keys(json.loads(raw), bucket, 0))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotificationError(
            "notification: not an event of S3, MinIO or EventBridge; is the queue the right one?"
        ) from error
    return tuple(dict.fromkeys(found))


def _keys(event: Any, bucket: str, depth: int) -> Iterator[str]:
    if depth > _DEEPEST or not isinstance(event, Mapping):
        raise TypeError("not an event")
    if event.get("Event") == "s3:TestEvent":
        return
    if "Records" in event:
        for record in event["Records"]:
            if "s3" in record:
                yield from _named(record["s3"], bucket, encoded=True)
            else:  # SQS as a function is given it
                yield from _keys(record, bucket, depth + 1)
    elif event.get("source") == "aws.s3":
        yield from _named(event["detail"], bucket, encoded=False)
    else:
        wrapped = next((event[name] for name in _WRAPPED if name in event), None)
        if not isinstance(wrapped, str):
            raise TypeError("not an event")
        yield from _keys(json.loads(wrapped), bucket, depth + 1)


def _named(entity: Mapping[str, Any], bucket: str, *, encoded: bool) -> Iterator[str]:
    """Yield the key of a record: URL-encoded as forms are, but for EventBridge's."""
    name, key = entity["bucket"]["name"], entity["object"]["key"]
    if not isinstance(key, str):
        raise TypeError("key")
    if name == bucket:
        yield unquote_plus(key) if encoded else key
