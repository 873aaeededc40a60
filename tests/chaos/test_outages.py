"""Everything that is not a stage fails or loses its data, while a real handbook is edited and questions are asked."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from headwater.demo.stage import ActFailedError, wait_until
from headwater.settings import BlobSettings
from schemas.ids import SourceId
from tests.chaos.faults import ANSWERS, chosen, strike_components, strike_of
from tests.chaos.report import Outcome, Report
from tests.chaos.scene import PRINCIPALS, Extent, Scene, Target, open_scene
from tests.support.corpora import corpus
from tests.support.history import read_history
from tests.support.infrastructure import infrastructure_of
from tests.support.platform import Platform, running_platform
from tests.support.s3_server import s3_server
from tests.support.stack import RunningStack, infrastructure_in
from tests.support.truth import Truth
from tests.support.witness import Wrong

# `make chaos` sets these to the whole handbook, all faults and 1,000 poison events; `make test` leaves this file out.
PAGES = int(os.environ.get("HEADWATER_CHAOS_PAGES", "12"))
SEED = int(os.environ.get("HEADWATER_CHAOS_SEED", "18"))
NAMES = chosen(os.environ.get("HEADWATER_CHAOS_FAULTS", ""), seed=SEED)
BURST = int(os.environ.get("HEADWATER_CHAOS_POISON", "100"))
AWAY_S = float(os.environ.get("HEADWATER_CHAOS_AWAY_S", "300"))
OWN_STATE = Path(".headwater/outages")  # its logs stay until the next run
MOST_EDITS = 40  # during one fault
SETTLE_S = 180.0 + PAGES  # on a machine that many share
QUICK_S = 20.0  # another tenant's edits during a burst of poison, on the same

pytestmark = [pytest.mark.real, pytest.mark.data, pytest.mark.timeout(600 + len(NAMES) * (2 * SETTLE_S + AWAY_S))]


def play(scene: Scene, fault: str, *, edits: int) -> Outcome:
    """Strike once while edits are made and questions asked; wait until all has settled; judge every answer."""
    prober, witness = scene.prober, scene.witness
    answered, refused, records = len(prober.answers), prober.unanswered, witness.records
    began_s = time.time()
    scene.open_shelf(to_all=True)
    with scene.editing(edits):
        strike_of(fault)(scene)
    struck_s = time.time() - began_s
    scene.open_shelf(to_all=False)
    try:
        scene.await_settled()
    except ActFailedError:
        lost = len(scene.unsettled())
    else:
        lost = 0
    settled_s = time.time()
    prober.go_on(answers=ANSWERS, patience_s=SETTLE_S)  # what is answered afterwards is judged as well
    answers = prober.answers[answered:]
    wrong = Counter(each for answer in answers for each in set(witness.judge(answer, principals=PRINCIPALS)))
    return Outcome(
        fault=fault,
        edits=edits,
        records=witness.records - records,
        answers=len(answers),
        unanswered=prober.unanswered - refused,
        lost=lost,
        stale=wrong[Wrong.STALE],
        forbidden=wrong[Wrong.FORBIDDEN],
        struck_s=round(struck_s, 1),
        settled_s=round(settled_s - began_s, 1),
        longest_stall_s=round(prober.longest_silence_s(since_s=began_s, until_s=settled_s), 1),
        slowest_edit_s=round(witness.slowest_edit_s(SourceId(scene.source), since_s=began_s), 1),
    )


def in_time(what: str, condition: Callable[[], bool]) -> None:
    """Wait for a condition; where it does not come true the report says why."""
    with suppress(ActFailedError):
        wait_until(what, condition, patience_s=SETTLE_S)


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
    share = min(MOST_EDITS, len(history.edits) // len(NAMES))
    with open_scene(target, extent, tmp_path) as scene:
        report = Report(seed=seed, pages=PAGES)
        for fault in NAMES:
            report = replace(report, outcomes=(*report.outcomes, play(scene, fault, edits=share)))
            report.write()
        with scene.editing(len(history.edits) - scene.done):
            """The rest of the history, in peace."""
        truth = Truth(platform=target.platform, source=scene.source, content=scene.content())
        in_time("everything to settle", lambda: not truth.differences())
        in_time("a verification to find nothing", lambda: not scene.verified())
        report = replace(
            report,
            finished=True,
            differences=tuple(truth.differences()),
            findings=tuple(scene.verified()),
            broken=tuple(scene.prober.broken),
        )
    report.write()
    assert (report.differences, report.findings, report.broken) == ((), (), ())
    assert [each for each in report.outcomes if each.lost or each.stale or each.forbidden] == []
    assert all(each.slowest_edit_s < QUICK_S for each in report.outcomes if each.fault == "poison")
