"""One fault after another while edits are made and questions asked, and what came of it."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from headwater.demo.stage import ActFailedError, wait_until
from schemas.ids import SourceId
from tests.chaos.faults import ANSWERS, strike_of
from tests.chaos.report import Outcome, Report
from tests.chaos.scene import PRINCIPALS, Extent, Scene, Target, open_scene
from tests.support.truth import Truth
from tests.support.witness import Wrong

MOST_EDITS = 10  # that a fault has at least: of the handbook's 524 some are left for faults that last minutes


def play_all(
    target: Target, extent: Extent, faults: Sequence[str], report: Report, *, folder: Path, report_at: Path
) -> Report:
    """Play the faults and then the rest of the history; compare all there is with the history's head.

    The report is written after each fault, and returned in the end. The handbook's files lie in `folder`.
    """
    with open_scene(target, extent, folder) as scene:
        for number, fault in enumerate(faults):
            least, most = shares(len(extent.history.edits) - scene.done, faults=len(faults) - number)
            report = replace(report, outcomes=(*report.outcomes, play(scene, fault, least=least, most=most)))
            report.write(report_at)
        rest = len(extent.history.edits) - scene.done
        with scene.editing(least=rest, most=rest):
            """In peace."""
        truth = Truth(platform=target.platform, source=scene.source, content=scene.content())
        report = replace(
            report,
            differences=_left(scene, "everything to settle", truth.differences),
            findings=_left(scene, "a verification to find nothing", scene.verified),
            broken=tuple(scene.prober.broken),
            finished=True,
        )
    report.write(report_at)
    return report


def shares(edits: int, *, faults: int) -> tuple[int, int]:
    """Return how many of the edits that are left the next fault has at least, and at most if it lasts.

    Each later one keeps three quarters of an equal share, and at least one.
    """
    least = min(MOST_EDITS, edits // faults)
    return least, edits - (faults - 1) * -(-3 * least // 4)


def play(scene: Scene, fault: str, *, least: int, most: int) -> Outcome:
    """Strike once while edits are made, questions asked and a document hidden; let all settle; judge every answer."""
    prober, witness = scene.prober, scene.witness
    scene.open_shelf()  # whoever shows it after it has been hidden will be seen
    done, answered, refused, records = scene.done, len(prober.answers), prober.unanswered, witness.records
    began_s = time.time()
    with scene.editing(least=least, most=most), scene.hiding() as hidden:
        strike_of(fault)(scene)
        back_s = time.time()
    try:
        scene.await_settled()
    except ActFailedError:
        lost = len(scene.unsettled())
    else:
        lost = 0
    settled_s = time.time()
    prober.go_on(answers=ANSWERS, patience_s=scene.patience_s)  # what is answered afterwards is judged as well
    answers = prober.answers[answered:]
    wrong = Counter(each for answer in answers for each in set(witness.judge(answer, principals=PRINCIPALS)))
    return Outcome(
        fault=fault,
        edits=scene.done - done,
        hidden=sum(at_s < back_s for at_s in hidden),
        records=witness.records - records,
        answers=len(answers),
        unanswered=prober.unanswered - refused,
        lost=lost,
        stale=wrong[Wrong.STALE],
        forbidden=wrong[Wrong.FORBIDDEN],
        struck_s=round(back_s - began_s, 1),
        settled_s=round(settled_s - began_s, 1),
        longest_stall_s=round(prober.longest_silence_s(since_s=began_s, until_s=settled_s), 1),
        slowest_edit_s=round(witness.slowest_edit_s(SourceId(scene.source), since_s=began_s), 1),
    )


def _left(scene: Scene, what: str, look: Callable[[], Sequence[str]]) -> tuple[str, ...]:
    """Look until nothing is wrong, or patience ends; return what was wrong in the end."""
    found: list[str] = []

    def nothing() -> bool:
        found[:] = look()
        return not found

    with suppress(ActFailedError):
        wait_until(what, nothing, patience_s=scene.patience_s)
    return tuple(found)
