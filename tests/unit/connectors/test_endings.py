"""What an operator reads at the end of a pass."""

import pytest

from connectors.endings import Ending, SyncReport


@pytest.mark.parametrize("ending", Ending)
def test_every_ending_has_its_sentence(ending: Ending) -> None:
    message = SyncReport(ending=ending, upserted=3, failures=2, reason="no such bucket").message
    assert message.endswith((".", "bucket"))
    assert "{" not in message


def test_a_sentence_says_how_much_was_done_and_why_it_ended() -> None:
    report = SyncReport(ending=Ending.FAILED, upserted=3, patched=1, deleted=2, reason="kafka: no answer")
    assert report.message == (
        "Not finished, after 3 written, 1 changed in metadata, 2 deleted: kafka: no answer. "
        "The next pass goes on from there."
    )
