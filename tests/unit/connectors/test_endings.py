"""What an operator reads at the end of a pass."""

import json
from datetime import UTC, datetime

import pytest

from connectors.endings import Ending, SyncReport
from connectors.tally import REPORTED_FAILURES, Tally, reported
from headwater.errors import (
    DeferredError,
    FatalError,
    HeadwaterError,
    PoisonError,
    RetryableError,
    SourceGoneError,
    UnauthorisedError,
)
from tests.support.telemetry import watching

LATER = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


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


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (UnauthorisedError("said so"), Ending.UNAUTHORISED),
        (SourceGoneError("said so"), Ending.SOURCE_GONE),
        (FatalError("said so"), Ending.SOURCE_REFUSED),
        (PoisonError("said so"), Ending.SOURCE_REFUSED),  # of no item: raised, it would be run again for ever
        (RetryableError("said so"), Ending.FAILED),
        (DeferredError("said so", until=LATER), Ending.SUSPENDED),  # its rate limit: nobody need do anything
    ],
)
async def test_what_a_source_raises_has_its_ending(error: HeadwaterError, ending: Ending) -> None:
    async def raising(tally: Tally) -> None:
        tally.upserted = 1
        raise error

    report = await reported(raising)
    assert (report.ending, report.reason, report.upserted) == (ending, "said so", 1)
    assert report.waits_until == getattr(error, "until", None)


def test_a_limit_is_told_with_its_end_and_not_as_a_stop() -> None:
    report = SyncReport(ending=Ending.SUSPENDED, upserted=3, waits_until=LATER)
    assert report.message == (
        "The source allows requests again at 2026-03-02 10:00:00 UTC: its rate limit is used up. 3 written, 0 changed "
        "in metadata, 0 deleted so far; the sync goes on from there."
    )


@pytest.mark.parametrize(("failures", "also"), [(0, False), (2, True)])
def test_deletions_that_wait_are_partial_and_say_what_to_do(failures: int, *, also: bool) -> None:
    tally = Tally(upserted=1, failures=failures)
    for doubt in (None, "the listing showed 12 documents, where 100 were known", "another"):
        tally.delete(doubt)
    report = tally.report(tally.ending())
    assert (report.ending, report.deleted, report.doubted) == (Ending.PARTIAL, 1, 2)
    assert report.message.startswith("1 written, 0 changed in metadata, 1 deleted")
    assert ("could not be read" in report.message) == also
    assert report.message.endswith(
        "2 deletions wait for an administrator, and the documents stay: the listing showed 12 documents, where 100 "
        "were known. Look at the source first. What it shows again is kept by the next full sync; what is really gone "
        "is deleted by `headwater sources approve`."
    )


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        (REPORTED_FAILURES, "each is named with its reason."),
        (REPORTED_FAILURES + 1, "the first 100 are named with their reasons, and each is in the connector's log"),
    ],
)
def test_no_more_are_said_to_be_named_than_are(failures: int, said: str) -> None:
    tally = Tally()
    for number in range(failures):
        tally.missing(f"{number}.md", "torn")
    report = tally.report(tally.ending())
    assert (report.failures, len(report.failed)) == (failures, REPORTED_FAILURES)
    assert said in report.message


def test_the_log_names_each_item_that_failed_and_why_in_our_words_alone() -> None:
    tally = Tally()
    with watching() as watched:
        for number in range(REPORTED_FAILURES + 1):
            try:
                raise PoisonError(f"torn in place {number}; mend it") from ValueError("text of the document")
            except PoisonError as error:
                tally.fail(f"{number}.md", error)
    lines = [json.loads(line) for line in watched.written.getvalue().splitlines()]
    assert [line["external_id"] for line in lines] == [f"{number}.md" for number in range(REPORTED_FAILURES + 1)]
    assert all("dropped" not in line for line in lines)
    assert lines[-1]["exception"].startswith("PoisonError: torn in place 100; mend it at ")
    assert "text of the document" not in watched.written.getvalue()
