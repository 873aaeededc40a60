"""Cursors on a real broker: what was saved last is what is loaded, part by part and source by source."""

import pytest

from connectors.cursors import CursorStore
from schemas.ids import SourceId
from tests.support.admission import Installation
from tests.support.heads import ACME

pytestmark = pytest.mark.real


def store(own: Installation, source: str) -> CursorStore:
    return CursorStore(own.settings, own.producer, tenant=ACME, source=SourceId(source))


async def test_a_source_that_never_ran_has_an_empty_cursor(own: Installation) -> None:
    assert await store(own, "wiki").load() == {}


async def test_every_part_comes_back_as_it_was_saved_last(own: Installation) -> None:
    wiki = store(own, "wiki")
    await wiki.save({"a.md": b"1", "b/ü c.md": b"\x00\xff", "c.md": b"1"})
    await wiki.save({"a.md": b"2", "c.md": None})
    assert await store(own, "wiki").load() == {"a.md": b"2", "b/ü c.md": b"\x00\xff"}


async def test_sources_do_not_see_each_others_parts(own: Installation) -> None:
    await store(own, "wiki").save({"a.md": b"wiki"})
    await store(own, "wiki2").save({"a.md": b"wiki2"})
    await store(own, "wiki2").save({"a.md": None})
    assert await store(own, "wiki").load() == {"a.md": b"wiki"}
    assert await store(own, "wiki2").load() == {}
