"""What every connector makes of a kill between a submission and its note in the cursor."""

from itertools import count
from typing import Final

from tests.contract.connectors.items import ANN, EVERYONE, NAMES, fill, live
from tests.support.sources import Follower, KilledError, SourceHarness

BATCH: Final = 4
NOTES: Final = (0, 1, 2, 8)  # after which a first pass is killed, where it has more


class KillsContract:
    """Subclasses provide the `source` fixture."""

    async def test_killed_between_submission_and_note_it_ends_in_the_same_state(self, source: SourceHarness) -> None:
        fill(source)
        lived = live(source)
        for notes in NOTES:
            follower = Follower(source, batch=BATCH, notes_left=notes)
            kills = await _killed(follower)
            source.put(NAMES[3], f"edited after {notes} notes")  # while it was away
            await _goes_on(source, follower, kills)
            next(lived, None)
            follower.notes_left = 0  # a deletion may be what was submitted
            await _goes_on(source, follower, kills + await _killed(follower))
            if not kills:
                return

    async def test_what_vanishes_between_submission_and_note_is_deleted(self, source: SourceHarness) -> None:
        fill(source)
        for notes in count():
            follower = Follower(source, batch=BATCH, notes_left=notes)
            kills = await _killed(follower)
            for name in list(follower.view())[-BATCH:]:
                source.delete(name)
            await _goes_on(source, follower, kills)
            if not kills:
                return
            fill(source)

    async def test_what_is_as_before_between_submission_and_note_is_submitted_so(self, source: SourceHarness) -> None:
        fill(source)
        for notes in count():
            follower = Follower(source, batch=BATCH)
            await follower.follow()
            source.put(NAMES[3], "for a moment")
            source.share(NAMES[5], ANN)
            follower.notes_left = notes
            kills = await _killed(follower)
            source.put(NAMES[3], f"text of {NAMES[3]}")
            source.share(NAMES[5], EVERYONE)
            await _goes_on(source, follower, kills)
            if not kills:
                return


async def _killed(follower: Follower) -> int:
    """Follow once; return how often that was ended by a kill."""
    try:
        await follower.follow()
    except KilledError:
        return 1
    return 0


async def _goes_on(source: SourceHarness, follower: Follower, kills: int) -> None:
    """Follow to the end: it is in the source's state then, and each kill has cost a batch at the most."""
    follower.notes_left = None
    await follower.follow()
    assert follower.view() == source.truth()
    assert len(follower.repeated) <= kills * BATCH
    assert await follower.follow() == []
