"""The replica: applied records, positions in the same transaction, what readers of another environment see."""

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headwater.clients.kafka.records import PartitionEnd, Record
from headwater.errors import FatalError
from headwater.heads.applying import Applier
from headwater.heads.environment import WritableEnvironment, writing
from headwater.heads.replica import LAYOUT, Replica, replica_folder
from headwater.heads.topics import FollowedTopics
from headwater.heads.view import LmdbHeads
from headwater.settings import HeadsSettings, Settings
from schemas.codec import encode
from schemas.events.base import Lane, Position, Store
from schemas.events.directory import DirectoryKind, Group, User
from schemas.events.documents import DocumentOp, DocumentProgressed, ProgressOutcome, Trail
from schemas.ids import (
    DocumentId,
    GenerationName,
    Principal,
    Revision,
    TenantId,
    directory_key,
    document_key,
    progress_key,
)
from tests.support.heads import ACME, NOON, NOON_MS, changed, directory_record

DOCUMENT = DocumentId("ab" * 16)
G1 = GenerationName("g1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(heads=HeadsSettings(folder=tmp_path, map_size_bytes=2**26))


@pytest.fixture
def topics(settings: Settings) -> FollowedTopics:
    return FollowedTopics.of(settings)


class Log:
    """Builds records and applies them. A process may open an environment only once, so the reader lets go meanwhile."""

    def __init__(self, settings: Settings, view: LmdbHeads) -> None:
        self.settings = settings
        self._view = view
        self.topics = FollowedTopics.of(settings)
        self._next: dict[str, int] = {}

    def record(self, topic: str, key: bytes, value: object | None) -> Record:
        offset = self._next.get(topic, 0)
        self._next[topic] = offset + 1
        return Record(
            position=Position(topic=topic, partition=0, offset=offset),
            key=key,
            value=value if value is None or isinstance(value, bytes) else encode(value),
            headers=(),
            timestamp_ms=None,
        )

    def document(self, **changes: Any) -> Record:
        return self.record(self.topics.changed, document_key(ACME, DOCUMENT), changed(DOCUMENT, **changes))

    def member(self, *groups: str) -> list[Record]:
        user = directory_record(DirectoryKind.USER, "ann", User(name="Ann"))
        records = [self.record(self.topics.directory, directory_key(ACME, "users", "ann"), user)]
        for name in groups:
            group = directory_record(DirectoryKind.GROUP, name, Group(name=name, members=(Principal("user:ann"),)))
            records.append(self.record(self.topics.directory, directory_key(ACME, "groups", name), group))
        return records

    def progress(self, revision: int, outcome: ProgressOutcome = ProgressOutcome.COMPLETE) -> Record:
        position = Position(topic="t", partition=0, offset=0)
        event = DocumentProgressed(
            event_id=uuid.uuid4(),
            tenant_id=ACME,
            occurred_at=NOON,
            observed_at=NOON,
            document_id=DOCUMENT,
            revision=Revision(revision),
            generation=G1,
            store=Store.VECTORS,
            outcome=outcome,
            lane=Lane.LIVE,
            rows=3,
            embedded=3,
            reused=0,
            stage=None,
            error=None,
            reason=None,
            trail=Trail(
                submitted=position,
                changed=position,
                submission_occurred_at=NOON,
                submission_observed_at=NOON,
                admitted_at=NOON,
            ),
        )
        return self.record(self.topics.progressed, progress_key(ACME, DOCUMENT, G1, "vectors"), event)

    def apply(self, *items: Record | PartitionEnd) -> None:
        with self.open() as environment:
            Applier(Replica(environment.lmdb, create=True), self.topics).apply(items)

    def open(self) -> WritableEnvironment:
        self._view.close()
        return WritableEnvironment(
            replica_folder(self.settings.heads), map_size_bytes=self.settings.heads.map_size_bytes, layout=LAYOUT
        )


@pytest.fixture
def log(settings: Settings, view: LmdbHeads) -> Log:
    return Log(settings, view)


@pytest.fixture
def view(settings: Settings) -> Iterator[LmdbHeads]:
    heads = LmdbHeads(settings)
    yield heads
    heads.close()


def test_without_a_follower_nothing_is_known_and_nothing_is_current(view: LmdbHeads) -> None:
    assert view.head(ACME, DOCUMENT) is None
    assert view.as_of() == datetime.fromtimestamp(0, tz=UTC)
    assert view.applied() == {}
    assert view.directory_position() == 0


@pytest.mark.parametrize("clock_ms", [NOON_MS, NOON_MS - 3_600_000, NOON_MS + 60_000])
def test_currency_grows_old_however_the_clock_is_set(settings: Settings, log: Log, clock_ms: int) -> None:
    """A clock that was set back must not make an old replica look current (ADR 0071)."""
    with log.open() as environment:
        replica = Replica(environment.lmdb, create=True)
        with writing(environment.lmdb) as txn:
            replica.checkpoints.set_current(txn, as_of_ms=NOON_MS, steady_ms=50_000)
    heads = LmdbHeads(settings, now_ms=lambda: clock_ms, steady_ms=lambda: 62_000)
    assert datetime.fromtimestamp(clock_ms / 1000, tz=UTC) - heads.as_of() == timedelta(seconds=12)
    heads.close()


def test_what_was_current_before_the_host_started_is_not_current(settings: Settings, log: Log) -> None:
    with log.open() as environment:
        replica = Replica(environment.lmdb, create=True)
        with writing(environment.lmdb) as txn:
            replica.checkpoints.set_current(txn, as_of_ms=NOON_MS, steady_ms=50_000)
    heads = LmdbHeads(settings, now_ms=lambda: NOON_MS, steady_ms=lambda: 1_000)
    assert heads.as_of() == datetime.fromtimestamp(0, tz=UTC)
    heads.close()


def test_the_newest_record_is_the_head(log: Log, view: LmdbHeads) -> None:
    log.apply(log.document(title="one"), log.document(revision=Revision(9), op=DocumentOp.DELETED))
    head = view.head(ACME, DOCUMENT)
    assert head is not None
    assert (head.revision, head.op) == (9, DocumentOp.DELETED)
    assert view.applied() == {log.topics.changed: {0: 2}}


def test_a_head_carries_what_the_gate_needs(log: Log, view: LmdbHeads) -> None:
    record = changed(DOCUMENT)
    log.apply(log.document())
    head = view.head(ACME, DOCUMENT)
    assert head is not None
    assert (head.access, head.knowledge_base, head.source) == (record.access, record.knowledge_base, record.source)
    assert head.directory_position == record.directory_position


def test_another_tenant_knows_nothing_of_it(log: Log, view: LmdbHeads) -> None:
    log.apply(log.document())
    assert view.head(TenantId("other"), DOCUMENT) is None
    assert view.heads(ACME, [DOCUMENT, DocumentId("cd" * 16), DocumentId("no hex")]).keys() == {DOCUMENT}


def test_progress_only_counts_upwards_and_may_come_before_its_document(log: Log, view: LmdbHeads) -> None:
    log.apply(log.progress(9), log.progress(8), log.progress(11, ProgressOutcome.FAILED), log.document())
    head = view.head(ACME, DOCUMENT)
    assert head is not None
    assert head.complete == {(G1, Store.VECTORS): 9}


def test_a_tombstone_erases_the_head_and_its_progress(log: Log, view: LmdbHeads) -> None:
    log.apply(log.document(), log.progress(9))
    log.apply(log.record(log.topics.changed, document_key(ACME, DOCUMENT), None), log.document())
    head = view.head(ACME, DOCUMENT)
    assert head is not None
    assert head.complete == {}
    log.apply(log.progress(9), log.record(log.topics.progressed, progress_key(ACME, DOCUMENT, G1, "vectors"), None))
    head = view.head(ACME, DOCUMENT)
    assert head is not None
    assert head.complete == {}


def test_the_end_of_a_partition_moves_the_position_past_control_records(log: Log, view: LmdbHeads) -> None:
    log.apply(log.document(), PartitionEnd(position=Position(topic=log.topics.changed, partition=0, offset=2)))
    assert view.applied() == {log.topics.changed: {0: 2}}


def test_the_directory_is_brought_forward_by_what_is_new(log: Log, view: LmdbHeads) -> None:
    log.apply(*log.member("a:staff"))
    assert view.principals(ACME, "ann") == {"user:ann", "everyone", "group:a:staff"}
    assert view.directory_position() == 2
    log.apply(*log.member("a:board"))
    assert "group:a:board" in view.principals(ACME, "ann")
    gone = directory_record(DirectoryKind.GROUP, "a:staff", None)
    log.apply(log.record(log.topics.directory, directory_key(ACME, "groups", "a:staff"), gone))
    assert "group:a:staff" not in view.principals(ACME, "ann")
    assert [entry.record_id for entry in view.list(ACME, DirectoryKind.GROUP)] == ["a:board"]


def test_an_unreadable_record_of_the_log_stops_the_follower_and_applies_nothing(log: Log, view: LmdbHeads) -> None:
    with pytest.raises(FatalError, match="cannot read"):
        log.apply(log.document(), log.record(log.topics.changed, document_key(ACME, DOCUMENT), b"nonsense"))
    assert view.head(ACME, DOCUMENT) is None
    assert view.applied() == {}


def test_an_unreadable_progress_is_passed_over(log: Log, view: LmdbHeads) -> None:
    log.apply(log.record(log.topics.progressed, b"x", b"nonsense"), log.document())
    assert view.head(ACME, DOCUMENT) is not None


def test_a_rebuilt_replica_is_seen_by_readers_that_stay(log: Log, view: LmdbHeads) -> None:
    log.apply(*log.member("a:staff"), log.document())
    assert view.directory_position() == 2
    with log.open() as environment:
        Replica(environment.lmdb, create=True).clear()
    assert view.directory_position() == 0
    assert view.principals(ACME, "ann") == frozenset()
    assert view.head(ACME, DOCUMENT) is None


def test_a_deleted_folder_is_seen_by_readers_that_stay(log: Log, view: LmdbHeads, settings: Settings) -> None:
    log.apply(log.document())
    assert view.head(ACME, DOCUMENT) is not None
    for file in replica_folder(settings.heads).iterdir():
        file.unlink()
    assert view.head(ACME, DOCUMENT) is None
    log.apply(log.document())
    assert view.head(ACME, DOCUMENT) is not None


def test_one_writer_a_folder(log: Log) -> None:
    with log.open(), pytest.raises(FatalError, match="another process writes"):
        log.open()


def test_a_full_environment_names_its_setting(tmp_path: Path) -> None:
    with (
        WritableEnvironment(tmp_path, map_size_bytes=2**16, layout=LAYOUT) as environment,
        pytest.raises(FatalError, match="HEADWATER_HEADS__MAP_SIZE_BYTES"),
        writing(environment.lmdb) as txn,
    ):
        txn.put(b"key", b"x" * 2**17)


def test_a_folder_deleted_in_use_is_noticed(log: Log, settings: Settings) -> None:
    with log.open() as environment:
        environment.check()
        (replica_folder(settings.heads) / "data.mdb").unlink()
        with pytest.raises(FatalError, match="deleted"):
            environment.check()


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ({}, True),
        ({"clean": False}, True),  # a killed process: its pages are the operating system's
        ({"clean": False, "boot": "another"}, False),  # a crashed machine: the file may be torn
        ({"clean": True, "boot": "another"}, True),
        ({"layout": "replica-0"}, False),
    ],
)
def test_what_cannot_be_trusted_is_thrown_away(
    log: Log, view: LmdbHeads, settings: Settings, state: dict[str, object], kept: bool
) -> None:
    log.apply(log.document())
    file = replica_folder(settings.heads) / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | state))
    log.apply()
    assert (view.head(ACME, DOCUMENT) is not None) is kept
