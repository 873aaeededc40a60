"""What the directory's log says of a source, as its connector hears it."""

import asyncio
from contextlib import aclosing

import pytest

from connectors.pausing import pauses
from schemas.events.directory import DirectoryKind, Source
from schemas.ids import SourceId, directory_key
from schemas.topics import Topic
from tests.support.admission import Installation
from tests.support.heads import ACME, FILES, HANDBOOK, directory_record

pytestmark = pytest.mark.real


async def admit(own: Installation, source: SourceId, *, paused: bool | None) -> None:
    """Append a record as admission does; None deletes it."""
    record = None if paused is None else Source(name=source, kind="fs", knowledge_base=HANDBOOK, paused=paused)
    change = directory_record(DirectoryKind.SOURCE, source, record)
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
