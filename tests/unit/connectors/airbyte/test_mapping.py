"""A record's document is what the settings name of it; what is none of it is said, by its field."""

from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.airbyte.mapping import RecordError, external_id_of, is_deleted, mapped
from connectors.airbyte.messages import Record
from headwater.sources.airbyte import StreamSettings

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ISSUES = StreamSettings.model_validate(
    {
        "id": ["repository", "number"],
        "text": ["fields.summary", "fields.body"],
        "title": "fields.summary",
        "url": "link",
        "updated": "updated_at",
        "deleted": "_ab_cdc_deleted_at",
        "media_type": "text/markdown",
        "attributes": {"labels": "labels", "votes": "votes", "author": "user.login"},
    }
)
WHOLE = {
    "repository": "acme/web",
    "number": 7,
    "fields": {"summary": "Too\x07 slow", "body": "It takes minutes."},
    "link": "https://example.org/7",
    "updated_at": "2026-03-01T10:00:00+02:00",
    "labels": ["bug", "slow"],
    "votes": 3,
    "user": {"login": "ann"},
}


def record(**changed: Any) -> Record:
    return Record(stream="issues", data={**WHOLE, **changed}, emitted_at=AT)


def test_a_document_is_made_of_the_named_fields() -> None:
    document = mapped(record(), ISSUES, name="7")
    assert external_id_of(record(), ISSUES) == "issues/acme%2Fweb/7"
    assert document.text == b"Too\x07 slow\n\nIt takes minutes."
    assert (document.title, document.url, document.media_type) == (
        "Too  slow",
        "https://example.org/7",
        "text/markdown",
    )
    assert document.attributes == {"labels": ("bug", "slow"), "votes": 3, "author": "ann"}
    assert document.occurred_at == datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_what_is_missing_is_passed_over() -> None:
    bare = mapped(record(fields={"body": "text"}, link=None, updated_at=None, user=None), ISSUES, name="7")
    assert (bare.text, bare.title, bare.url, bare.occurred_at) == (b"text", "7", None, AT)
    assert "author" not in bare.attributes
    assert mapped(record(updated_at=0.5), ISSUES, name="7").occurred_at == datetime(1970, 1, 1, 0, 0, 0, 500_000, UTC)


@pytest.mark.parametrize("stream", ["a", "a/b", "ä %"])
def test_one_fields_id_is_that_field_below_its_stream(stream: str) -> None:
    one = StreamSettings(id=("path",), text=("body",))
    said = Record(stream=stream, data={"path": "x/y.md"}, emitted_at=AT)
    assert external_id_of(said, one).partition("/")[2] == "x/y.md"


def test_an_id_is_printable() -> None:
    one = StreamSettings(id=("path",), text=("body",))
    with pytest.raises(RecordError, match="printable"):
        external_id_of(Record(stream="pages", data={"path": "a\nb"}, emitted_at=AT), one)


def test_ids_of_several_fields_do_not_meet() -> None:
    ids = {external_id_of(record(repository=one, number=two), ISSUES) for one, two in [("a/b", "c"), ("a", "b/c")]}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"number": None}, "repository and number"),
        ({"number": ""}, "its id"),
        ({"number": {"id": 7}}, "number is no text but a dict"),
        ({"number": "x" * 2_000}, "at most 1024"),
    ],
)
def test_a_record_without_an_id_is_refused(change: dict[str, Any], match: str) -> None:
    with pytest.raises(RecordError, match=match):
        external_id_of(record(**change), ISSUES)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"fields": {}}, r"no text in fields\.summary, fields\.body"),
        ({"fields": {"body": ["a"]}}, r"fields\.body is no text but a list"),
        ({"fields": {"body": "\ud800"}}, r"fields\.body holds half"),
        ({"updated_at": "yesterday"}, "updated_at is no time"),
        ({"updated_at": 1e300}, "updated_at is no time"),
        ({"labels": [["bug"]]}, "labels is a list"),
        ({"labels": ["\ud800"]}, "labels holds half"),
        ({"votes": {"up": 3}}, "votes is a table"),
    ],
)
def test_what_is_no_document_is_named_by_its_field(change: dict[str, Any], match: str) -> None:
    with pytest.raises(RecordError, match=match):
        mapped(record(**change), ISSUES, name="7")


@pytest.mark.parametrize(
    ("value", "gone"), [("2026-03-02", True), (True, True), (1, True), (None, False), (False, False), ("", False)]
)
def test_a_marker_says_that_a_document_is_gone(value: Any, gone: bool) -> None:
    assert is_deleted(record(_ab_cdc_deleted_at=value), ISSUES) is gone


def test_nothing_is_gone_without_a_marker() -> None:
    assert not is_deleted(record(), ISSUES)


@pytest.mark.parametrize("change", [{"fields": {"body": "b"}}, {"link": "u"}, {"votes": 4}, {"labels": ["bug"]}])
def test_another_state_has_another_token(change: dict[str, Any]) -> None:
    assert mapped(record(**change), ISSUES, name="7").token != mapped(record(), ISSUES, name="7").token


def test_fields_that_are_not_named_make_no_other_state() -> None:
    other = mapped(record(watchers=9, updated_at="2026-04-01"), ISSUES, name="7")
    assert other.token == mapped(record(), ISSUES, name="7").token
