"""What a sync says of itself, and what a worker knows of sources."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from connectors.endings import Ending, SyncReport
from connectors.protocol import Left
from connectors.worker.ledger import MAX_REASON, Sync, estimated_end, settled_by
from connectors.worker.sources import FollowedSources
from headwater.clients.kafka.records import Record
from schemas.codec import encode
from schemas.events.base import Position
from schemas.events.directory import DirectoryChanged, DirectoryOp, Source
from schemas.events.syncs import SyncMode
from schemas.ids import SourceId, TenantId, directory_key
from tests.support.golden import golden

BEGUN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LATER = BEGUN + timedelta(minutes=2)
WAITS = "Waits: the source allows requests again at 2026-03-02 09:42:00 UTC."
SYNC = Sync(
    sync_id=UUID(int=1),
    key=(TenantId("acme"), SourceId("wiki")),
    mode=SyncMode.FULL,
    requested=Position(topic="rag.syncs.requested", partition=2, offset=41),
    started_at=BEGUN,
)


def test_a_running_sync_says_how_far_it_is_and_when_it_may_end() -> None:
    report = SyncReport(ending=Ending.SUSPENDED, upserted=100, patched=20, left=Left(items=360, of=540))
    said = SYNC.said(report, ended=False, now=LATER)
    assert said.message == "120 items so far; about 360 left to look at, of the 540 that were known before."
    assert (said.ending, said.remaining) == (None, 360)
    assert said.estimated_end_at == LATER + timedelta(minutes=4)  # 180 were looked at in two
    assert settled_by(said) == -1


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_but_a_suspension_settles_its_requests(ending: Ending) -> None:
    said = SYNC.said(SyncReport(ending=ending, upserted=1, left=Left(items=7, of=9)), ended=True, now=LATER)
    assert (said.ending, said.remaining, said.estimated_end_at) == (ending, None, None)
    assert settled_by(said) == (-1 if ending is Ending.SUSPENDED else 41)


def test_what_failed_is_named_with_its_reason_in_bounds() -> None:
    report = SyncReport(ending=Ending.PARTIAL, failures=1, failed=(("a.pdf", "x" * 9_000),))
    [failed] = SYNC.said(report, ended=True, now=LATER).failed
    assert (failed.external_id, len(failed.reason)) == ("a.pdf", MAX_REASON)


@pytest.mark.parametrize("left", [None, Left(items=0, of=9)])
def test_where_nobody_can_tell_what_is_left_nothing_is_said_of_it(left: Left | None) -> None:
    said = SYNC.said(SyncReport(ending=Ending.SUSPENDED, upserted=3, left=left), ended=False, now=LATER)
    assert (said.message, said.remaining, said.estimated_end_at) == ("3 items so far.", None, None)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (None, f"120 items so far. {WAITS}"),
        (
            Left(items=360, of=540),
            f"120 items so far; about 360 left to look at, of the 540 that were known before. {WAITS}",
        ),
    ],
)
def test_a_running_sync_says_that_it_waits_and_its_estimate_counts_the_wait(left: Left | None, said: str) -> None:
    until = LATER + timedelta(minutes=40)
    report = SyncReport(ending=Ending.SUSPENDED, upserted=120, left=left, waits_until=until)
    event = SYNC.said(report, ended=False, now=LATER)
    assert (event.message, event.waits_until) == (said, until)
    assert event.estimated_end_at == (until + timedelta(minutes=4) if left else None)


@pytest.mark.parametrize("ending", Ending)
def test_only_what_goes_on_by_itself_is_said_to_wait(ending: Ending) -> None:
    event = SYNC.said(SyncReport(ending=ending, waits_until=LATER), ended=True, now=BEGUN)
    assert event.waits_until == (LATER if ending is Ending.SUSPENDED else None)


def test_nobody_estimates_from_nothing() -> None:
    assert estimated_end(BEGUN, LATER, Left(items=5, of=5)) is None
    assert estimated_end(BEGUN, LATER, None) is None


def record(event: DirectoryChanged) -> Record:
    key = directory_key(event.tenant_id, event.kind, event.record_id)
    at = Position(topic="rag.directory.changed", partition=0, offset=0)
    return Record(position=at, key=key, value=encode(event), headers=(), timestamp_ms=None)


def test_sources_are_what_the_directory_said_last() -> None:
    sources = FollowedSources()
    put = golden(DirectoryChanged, "source_scheduled")
    key = (put.tenant_id, SourceId(put.record_id))
    for name in ("user", "group", "tenant"):
        sources.apply(record(golden(DirectoryChanged, name)))
    assert list(sources.items()) == []
    sources.apply(record(put))
    assert isinstance(put.record, Source)
    assert sources.get(key) == put.record
    sources.apply(record(replace(put, record=replace(put.record, paused=True))))
    found = sources.get(key)
    assert found is not None
    assert found.paused
    sources.apply(record(replace(put, op=DirectoryOp.DELETE, record=None)))
    assert sources.get(key) is None
