"""Listings that show suspiciously little, also where their deletions are cut off in the middle."""

from collections.abc import Sequence

import pytest

from connectors.doubts import MARK, MAX_NAME, Doubts, doubt_of
from connectors.protocol import Deleted, Listing, Patched, SourceChange
from headwater.settings import ConnectorSettings
from schemas.events.documents import DocumentPatch
from tests.support.heads import NOON

SETTINGS = ConnectorSettings()


def listing(known: int, shown: int, name: str = "") -> Listing:
    return Listing(name=name, known=known, shown=shown)


def gone(of: Listing | None, name: str = "page") -> SourceChange:
    what = Deleted(listing=of)
    return SourceChange(external_id=name, what=what, source_version=None, occurred_at=NOON, cursor={})


def judged(doubts: Doubts, *of: Listing | None) -> Sequence[bool]:
    return [each is not None for each in doubts.judged([gone(each) for each in of])]


@pytest.mark.parametrize(
    ("known", "shown", "doubted"),
    [
        (100, 1, True),
        (100, 49, True),
        (100, 50, False),
        (101, 50, True),
        (100, 120, False),  # all of another name: a folder that was renamed
        (20, 9, True),
        (19, 1, False),
        (1_000_000, 499_999, True),
    ],
)
def test_less_than_half_of_twenty_or_more_is_doubted(known: int, shown: int, *, doubted: bool) -> None:
    assert (doubt_of(listing(known, shown), SETTINGS) is not None) == doubted


def test_share_and_floor_are_settings() -> None:
    careful = ConnectorSettings(short_listing_share=0.9, short_listing_from=5)
    assert doubt_of(listing(5, 4), careful)
    assert not doubt_of(listing(4, 1), careful)
    assert not doubt_of(listing(100, 0), ConnectorSettings(short_listing_share=0))


def test_a_doubt_says_what_was_shown_and_of_which_listing() -> None:
    assert doubt_of(listing(100, 12), SETTINGS) == "the listing showed 12 documents, where 100 were known"
    assert (
        doubt_of(listing(100, 12, "pages"), SETTINGS)
        == "the listing of pages showed 12 documents, where 100 were known"
    )
    assert len(doubt_of(listing(100, 12, "x" * 5_000), SETTINGS) or "") < MAX_NAME + 100


def test_only_deletions_that_follow_from_a_listing_are_judged() -> None:
    doubts = Doubts({}, SETTINGS)
    assert judged(doubts, None, listing(100, 1), listing(100, 90, "pages")) == [False, True, False]
    patch = Patched(patch=DocumentPatch(title="Another"))
    change = SourceChange(external_id="page", what=patch, source_version=None, occurred_at=NOON, cursor={})
    assert doubts.judged([change]) == [None]


def test_it_is_marked_before_the_first_deletion_and_until_the_reading_has_ended() -> None:
    doubts, short = Doubts({}, SETTINGS), listing(100, 10, "pages")
    judged(doubts, short, short)
    assert doubts.news() == {f"{MARK}pages": b"100"}
    judged(doubts, short)
    assert doubts.news() == {}
    doubts.end(whole=False)
    assert doubts.news() == {f"{MARK}pages": None}


def test_the_rest_of_deletions_that_were_cut_off_is_doubted_as_well() -> None:
    """All but five were submitted, and are not known any more."""
    again = Doubts({f"{MARK}pages": b"100"}, SETTINGS)
    rest = listing(15, 10, "pages")
    assert judged(Doubts({}, SETTINGS), rest) == [False]
    (doubt,) = again.judged([gone(rest)])
    assert doubt == "the listing of pages showed 10 documents, where 100 were known"
    assert again.news() == {}
    again.end(whole=True)
    assert again.news() == {f"{MARK}pages": None}


def test_a_listing_that_has_recovered_is_believed_again() -> None:
    doubts = Doubts({f"{MARK}pages": b"100"}, SETTINGS)
    assert judged(doubts, listing(95, 90, "pages")) == [False]
    assert doubts.news() == {f"{MARK}pages": None}


def test_a_mark_outlasts_readings_that_do_not_list_and_no_whole_one() -> None:
    doubts = Doubts({f"{MARK}pages": b"100", MARK: b"70", f"{MARK}of another version": b"?"}, SETTINGS)
    doubts.end(whole=False)
    assert doubts.news() == {}
    doubts.end(whole=True)
    assert doubts.news() == {f"{MARK}pages": None, MARK: None}


def test_who_follows_believes_a_later_listing_by_itself() -> None:
    doubts = Doubts({}, SETTINGS)
    assert judged(doubts, listing(100, 40), listing(40, 30), listing(30, 10)) == [True, False, True]
    assert doubts.news() == {MARK: b"30"}
