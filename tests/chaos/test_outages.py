"""Everything that is not a stage fails or loses its data, while a real handbook is edited and questions are asked."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.settings import BlobSettings
from tests.chaos.faults import chosen, strike_components
from tests.chaos.play import play_all
from tests.chaos.report import REPORT, Report
from tests.chaos.scene import Extent, Target
from tests.support.corpora import corpus
from tests.support.history import read_history
from tests.support.infrastructure import infrastructure_of
from tests.support.platform import Platform, running_platform
from tests.support.s3_server import s3_server
from tests.support.stack import RunningStack, infrastructure_in

# `make chaos` sets these to the whole handbook, all faults and 1,000 poison events; `make test` leaves this file out.
PAGES = int(os.environ.get("HEADWATER_CHAOS_PAGES", "12"))
SEED = int(os.environ.get("HEADWATER_CHAOS_SEED", "18"))
NAMES = chosen(os.environ.get("HEADWATER_CHAOS_FAULTS", ""), seed=SEED)
BURST = int(os.environ.get("HEADWATER_CHAOS_POISON", "100"))
AWAY_S = float(os.environ.get("HEADWATER_CHAOS_AWAY_S", "300"))
OWN_STATE = Path(".headwater/outages")  # its logs stay until the next run
SETTLE_S = 180.0 + PAGES  # on a machine that many share
QUICK_S = 20.0  # another tenant's edits during a burst of poison, on the same

pytestmark = [pytest.mark.real, pytest.mark.data, pytest.mark.timeout(600 + len(NAMES) * (2 * SETTLE_S + AWAY_S))]


@pytest.fixture(scope="module")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The product that all tests share; where components are struck, a product on components that nobody else uses."""
    if not strike_components(NAMES):
        platform: Platform = request.getfixturevalue("platform")
        yield Target(platform=platform, infrastructure=infrastructure_of(platform), alone=False)
        return
    with s3_server() as bucket, infrastructure_in(OWN_STATE) as components:
        stack = RunningStack(settings=components.running_settings(), environment=components.environment())
        blobs = BlobSettings(url="s3://blobs", options=bucket.options)
        with running_platform(stack, blobs=blobs) as platform:
            infrastructure = infrastructure_of(platform, components)
            yield Target(platform=platform, infrastructure=infrastructure, alone=True, bucket=bucket)


@pytest.mark.parametrize("seed", [SEED], ids="seed-{}".format)
def test_no_outage_loses_or_shows_what_it_must_not(target: Target, tmp_path: Path, seed: int) -> None:
    history = read_history(corpus("handbook-18f-history"), pages=PAGES)
    extent = Extent(history=history, burst=BURST, away_s=AWAY_S, patience_s=SETTLE_S)
    report = Report(seed=seed, pages=PAGES)
    report = play_all(target, extent, NAMES, report, folder=tmp_path, report_at=REPORT)
    assert report.harm() == ()
    assert any(each.hidden for each in report.outcomes if each.fault != "nothing")
    assert all(each.slowest_edit_s < QUICK_S for each in report.outcomes if each.fault == "poison")
