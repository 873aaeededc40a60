"""The benchmark of a large listing compares what it says, and sees when it does not."""

from pathlib import Path
from unittest.mock import patch

import pytest

from headwater.errors import FatalError
from tests.performance.listing import (
    BUCKET,
    FOLDER,
    SITE,
    Compared,
    SyntheticBucket,
    SyntheticFolder,
    both_passes,
    figures_of,
)

MIB = 1024 * 1024


@pytest.mark.parametrize(("kind", "parts"), [(BUCKET, 13), (FOLDER, 1_500), (SITE, 1_532)])
async def test_both_passes_see_every_item(kind: str, parts: int) -> None:
    compared = await both_passes(kind, 1_500)
    assert compared.cursor_bytes > 1_500
    assert compared.parts == parts
    assert compared.first_s > 0
    assert compared.again_s > 0


async def test_a_second_pass_that_finds_something_says_nothing() -> None:
    moved = iter(range(10_000))
    with (
        patch("tests.performance.listing.etag_of", lambda number: f"{number}-{next(moved)}"),
        pytest.raises(FatalError, match="second pass"),
    ):
        await both_passes(BUCKET, 10)


def test_files_are_in_the_order_of_a_walk_and_differ(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = list(SyntheticFolder(files=2_500, file=tmp_path / "file").scan(tmp_path, tmp_path))
    names = [each.external_id for each in found]
    assert names == sorted(set(names))
    assert len({each.fingerprint.to_bytes() for each in found}) == 2_500


async def test_pages_hold_a_thousand_keys_in_order() -> None:
    pages = [page async for page in SyntheticBucket(2_500).pages("")]
    keys = [listed.key for page in pages for listed in page]
    assert [len(page) for page in pages] == [1_000, 1_000, 500]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(("peak", "met"), [(299 * MIB, True), (301 * MIB, False)])
def test_memory_is_what_came_on_top_of_the_start(peak: int, met: bool) -> None:
    compared = Compared(first_s=2.0, again_s=1.0, cursor_bytes=MIB, parts=9, started_bytes=100 * MIB, peak_bytes=peak)
    memory = figures_of(FOLDER, compared)[-1]
    assert memory.to_json()["met"] is met
