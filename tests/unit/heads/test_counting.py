"""Counting what is complete, on a replica that a log has filled."""

from pathlib import Path

import pytest

from headwater.clients.kafka.records import Record
from headwater.errors import FatalError
from headwater.heads.applying import Applier
from headwater.heads.counting import completeness, is_complete, live_heads
from headwater.heads.environment import WritableEnvironment
from headwater.heads.replica import LAYOUT, Replica, replica_folder
from headwater.heads.topics import FollowedTopics
from headwater.settings import HeadsSettings, Settings
from schemas.codec import encode
from schemas.events.base import Position, Store
from schemas.events.documents import DocumentOp
from schemas.ids import DocumentId, GenerationName, Revision, document_key, progress_key
from tests.support.events import progressed
from tests.support.heads import ACME, changed

G1, G2 = GenerationName("g1"), GenerationName("g2")
FIRST, SECOND, GONE = (DocumentId(f"{number:032x}") for number in (1, 2, 3))


def fill(settings: Settings) -> None:
    """Three documents: one complete everywhere in g1 and by words in g2, one edited since, one deleted."""
    topics = FollowedTopics.of(settings)
    records: list[tuple[str, bytes, object]] = [
        (topics.changed, document_key(ACME, FIRST), changed(FIRST, revision=Revision(7))),
        (topics.changed, document_key(ACME, SECOND), changed(SECOND, revision=Revision(9))),
        (topics.changed, document_key(ACME, GONE), changed(GONE, revision=Revision(9), op=DocumentOp.DELETED)),
    ]
    for document, revision, generation, store in (
        (FIRST, 7, G1, Store.KEYWORDS),
        (FIRST, 7, G1, Store.VECTORS),
        (FIRST, 7, G2, Store.KEYWORDS),
        (SECOND, 8, G1, Store.KEYWORDS),
        (GONE, 9, G1, Store.KEYWORDS),
    ):
        report = progressed(document_id=document, tenant_id=ACME, revision=revision, generation=generation, store=store)
        records.append((topics.progressed, progress_key(ACME, document, generation, store), report))
    heads = settings.heads
    with WritableEnvironment(replica_folder(heads), map_size_bytes=heads.map_size_bytes, layout=LAYOUT) as environment:
        Applier(Replica(environment.lmdb, create=True), topics).apply(
            [
                Record(
                    position=Position(topic=topic, partition=0, offset=offset),
                    key=key,
                    value=encode(value),
                    headers=(),
                    timestamp_ms=None,
                )
                for offset, (topic, key, value) in enumerate(records)
            ]
        )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(heads=HeadsSettings(folder=tmp_path, map_size_bytes=2**26))


def test_a_document_counts_where_its_newest_revision_is_complete(settings: Settings) -> None:
    fill(settings)
    counted = completeness(settings.heads, (G1, G2))
    assert [counted[name].alive for name in (G1, G2)] == [2, 2]
    assert counted[G1].complete == {Store.KEYWORDS: 1, Store.VECTORS: 1}
    assert counted[G2].complete == {Store.KEYWORDS: 1, Store.VECTORS: 0}
    lacking = {
        (head.document_id, store)
        for head in live_heads(settings.heads)
        for store in Store
        if not is_complete(head, G1, store)
    }
    assert lacking == {(SECOND, Store.KEYWORDS), (SECOND, Store.VECTORS)}


def test_a_host_without_a_replica_is_told_where_one_is(settings: Settings) -> None:
    with pytest.raises(FatalError, match=r"HEADWATER_HEADS__FOLDER .*`python -m headwater\.heads`"):
        completeness(settings.heads, (G1,))
