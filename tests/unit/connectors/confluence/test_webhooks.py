"""A delivery says where to look, and nothing else is believed."""

import json

import pytest

from connectors.confluence.webhooks import MAX_DELIVERY_BYTES, DeliveryError, work_of_delivery
from connectors.work import Work

PAGE = {"id": 196720, "title": "</secret>", "spaceKey": "ENG", "content": "believe me"}


def work(event: str, **told: object) -> Work:
    body = {"timestamp": 1732036737112, "event": event, **told}
    return work_of_delivery({"X-Hub-Signature": "sha256=0"}, json.dumps(body).encode())


@pytest.mark.parametrize(
    "event",
    [
        *("page_created", "page_updated", "page_trashed", "page_restored", "page_removed", "blueprint_page_created"),
        *("page_archived", "page_unarchived", "page_initialized", "page_started", "page_snapshotted", "page_published"),
    ],
)
def test_a_page_is_looked_at(event: str) -> None:
    assert work(event, page=PAGE) == Work(items=frozenset({"196720"}))


def test_what_belongs_to_a_page_is_looked_at_with_it() -> None:
    assert work("comment_created", comment={"id": 7}, parent={"id": 1}) == Work(items=frozenset({"7"}))
    found = work("attachment_created", attachments=[{"id": "att8"}, {"id": 9}], page=PAGE)
    assert found == Work(items=frozenset({"att8", "9", "att9", "196720"}))  # the interface calls them so
    assert work("blog_updated", blog={"id": 5}) == Work(items=frozenset({"5"}))


@pytest.mark.parametrize("event", ["page_moved", "content_permissions_updated"])
def test_readers_of_what_is_below_are_looked_at_too(event: str) -> None:
    assert work(event, content=PAGE) == Work(items=frozenset({"196720"}), permissions=True)


@pytest.mark.parametrize("event", ["space_permissions_updated", "group_removed", "user_deactivated", "space_removed"])
def test_readers_are_looked_at(event: str) -> None:
    assert work(event, space={"key": "ENG"}) == Work(permissions=True)


def test_the_event_may_stand_in_a_header() -> None:
    body = json.dumps({"page": PAGE}).encode()
    assert work_of_delivery({"X-Event-Key": "page_updated"}, body) == Work(items=frozenset({"196720"}))


def test_what_changes_no_document_is_no_work() -> None:
    assert work("page_viewed", page=PAGE) == Work()


@pytest.mark.parametrize("event", ["label_added", "label_removed"])
def test_what_is_labelled_is_looked_at(event: str) -> None:
    assert work(event, labeled=PAGE) == Work(items=frozenset({"196720"}))
    assert work(event, label={"name": "red"}) == Work(changes=True)


def test_a_delivery_that_is_too_long_is_not_read() -> None:
    with pytest.raises(DeliveryError, match="at most"):
        work("page_updated", page=PAGE | {"content": "x" * MAX_DELIVERY_BYTES})


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b"[1]",
        b"{}",
        b'{"event": 7}',
        b'{"event": "page_updated"}',
        b'{"event": "page_updated", "page": {"id": "../../admin"}}',
        b'{"event": "page_updated", "page": "196720"}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_understood_is_refused(body: bytes) -> None:
    with pytest.raises(DeliveryError, match="delivery"):
        work_of_delivery({}, body)
