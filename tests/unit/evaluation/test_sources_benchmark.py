"""The benchmark of sources, as far as it needs no stack."""

from datetime import timedelta

import pytest

from tests.performance import site
from tests.performance.installation import NO_MODEL
from tests.performance.site import wiki_of
from tests.performance.sources import Initial, Told, figures_of
from tests.performance.syncing import Synced
from tests.support.confluence import confluence_source, followed
from tests.support.heads import NOON


def test_an_initial_sync_is_told_with_the_model_and_without_it() -> None:
    figures = figures_of(
        with_model=Initial(items=2_000, submitted_s=80.0, searchable_s=250.0),
        without_model=Initial(items=2_000, submitted_s=50.0, searchable_s=100.0),
        asked=4,
        edits=[Told(answered_s=0.07, searchable_s=0.5)] * 3,
    )
    assert [(each.name, each.unit, each.value) for each in figures] == [
        ("objects of 2 kB", "objects", 2_000),
        ("initial sync, all submitted (model included)", "objects/s", 25.0),
        ("initial sync, all searchable in both stores (model included)", "objects/s", 8.0),
        (f"initial sync, all submitted ({NO_MODEL})", "objects/s", 40.0),
        (f"initial sync, all searchable in both stores ({NO_MODEL})", "objects/s", 20.0),
        ("requests of an incremental sync with nothing new", "requests", 4),
        ("webhook answered, p50", "ms", pytest.approx(70)),
        ("webhook answered, p95", "ms", pytest.approx(70)),
        ("webhook until searchable in both stores, p50", "ms", pytest.approx(500)),
        ("webhook until searchable in both stores, p95", "ms", pytest.approx(500)),
    ]


async def test_a_site_is_told_by_its_pages_and_by_what_it_is_asked() -> None:
    async with confluence_source() as source:
        source.server.wiki = wiki_of(7)
        follower = await followed(source)
        assert {len(each.text) for each in follower.documents.values()} == {2_041}
        assert await follower.follow() == []
        asked = len(source.server.requests)
    first = Synced(ending="completed", upserted=7, started_at=NOON, ended_at=NOON + timedelta(seconds=2))
    told = [(each.name, each.value) for each in site.figures_of(7, first, asked=asked)]
    assert told == [
        ("Confluence pages of 2 kB", 7),
        ("Confluence: initial sync, all submitted, unpaced", 3.5),
        ("Confluence: requests of an incremental sync with nothing new", asked),
    ]
    assert asked < 20
