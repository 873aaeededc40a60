"""A short selection of `make chaos`: components are killed or cut off while a real handbook is edited and asked."""

from pathlib import Path

import pytest

from tests.chaos.faults import SHORT
from tests.chaos.play import play_all
from tests.chaos.report import SHORT_REPORT, Report
from tests.chaos.scene import Extent, Target
from tests.support.corpora import corpus
from tests.support.history import read_history

PAGES = 12
SETTLE_S = 120.0  # on a machine that many share

pytestmark = [pytest.mark.real, pytest.mark.data, pytest.mark.timeout(300 + 2 * len(SHORT) * SETTLE_S)]


def test_no_component_that_fails_loses_or_shows_what_it_must_not(target: Target, tmp_path: Path) -> None:
    if "milvus" not in target.infrastructure.victims:
        pytest.skip("components are struck where the run starts them itself: HEADWATER_TEST_STACK=local")
    history = read_history(corpus("handbook-18f-history"), pages=PAGES)
    extent = Extent(history=history, burst=0, away_s=0, patience_s=SETTLE_S)
    report = Report(seed=0, pages=PAGES)
    report = play_all(target, extent, SHORT, report, folder=tmp_path, report_at=SHORT_REPORT)
    assert report.harm() == ()
    assert any(each.hidden for each in report.outcomes)
