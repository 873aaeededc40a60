"""What the directory's log says of a source, as its connector hears it."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from connectors.pausing import pauses
from schemas.events.base import Position
from schemas.events.directory import DirectoryChanged, DirectoryKind, DirectoryOp, Source
from schemas.ids import Revision, SourceId, directory_key
from schemas.topics import Topic
from tests.support.admission import Installation
from tests.support.heads import ACME, FILES, HANDBOOK

pytestmark = pytest.mark.real


async def admit(own: Installation, source: SourceId, *, paused: bool | None) -> None:
    """Append a record as admission does; None deletes it."""
    now = datetime.now(UTC)
    record = None if paused is None else Source(name=source, kind="fs", knowledge_base=HANDBOOK, paused=paused)
    change = DirectoryChanged(
        event_id=uuid4(),
        tenant_id=ACME,
        occurred_at=now,
        observed_at=now,
        kind=DirectoryKind.SOURCE,
        record_id=source,
        op=DirectoryOp.PUT if record else DirectoryOp.DELETE,
        revision=Revision(1),
        record=record,
        admitted_at=now,
        submitted=Position(topic="rag.directory.submitted", partition=0, offset=0),
    )
    key = directory_key(ACME, DirectoryKind.SOURCE, source)
    await own.producer.send(Topic.DIRECTORY_CHANGED, change, key=key)


async def test_each_change_is_heard_and_those_of_other_sources_are_not(own: Installation) -> None:
    async with asyncio.timeout(60), aclosing(pauses(own.settings, own.producer, tenant=ACME, source=FILES)) as states:
        assert await anext(states) is False
        await admit(own, SourceId("other"), paused=True)
        await admit(own, FILES, paused=True)
        assert await anext(states) is True
        await admit(own, FILES, paused=False)
        assert await anext(states) is False


async def test_only_the_newest_word_counts_when_one_comes_late(own: Installation) -> None:
    for paused in (False, True, False, True):
        await admit(own, FILES, paused=paused)
    for expected, then in ((True, None), (False, None)):
        async with (
            asyncio.timeout(60),
            aclosing(pauses(own.settings, own.producer, tenant=ACME, source=FILES)) as states,
        ):
            assert await anext(states) is expected
        await admit(own, FILES, paused=then)
