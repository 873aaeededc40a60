from datetime import UTC, datetime

import pytest

from headwater.cli.status import expiry_lines
from headwater.local.status import StackStatus, expired_found_at, freshness, objectives, quantile
from headwater.ports.freshness import StageLag

PAGE = """
# TYPE headwater_freshness_seconds histogram
headwater_freshness_seconds_bucket{lane="live",le="0.1",store="vectors"} 8
headwater_freshness_seconds_bucket{lane="live",le="1.0",store="vectors"} 9
headwater_freshness_seconds_bucket{lane="live",le="+Inf",store="vectors"} 10
headwater_freshness_seconds_count{lane="live",store="vectors"} 10
headwater_freshness_seconds_sum{lane="live",store="vectors"} 12
"""


def test_freshness_is_added_up_over_processes_and_lanes() -> None:
    slow = PAGE.replace("live", "backfill").replace("} 8", "} 0").replace("} 9", "} 10")
    [seen] = freshness([PAGE, slow])
    assert (seen.store, seen.documents) == ("vectors", 20)
    assert (seen.p50_s, seen.p95_s) == (1.0, 1.0)


def test_the_slowest_count_too() -> None:
    [seen] = freshness([PAGE])
    assert (seen.p50_s, seen.p95_s) == (0.1, float("inf"))


def test_no_events_no_figures() -> None:
    assert freshness(["", PAGE.replace("} 8", "} 0").replace("} 9", "} 0").replace("} 10", "} 0")]) == ()


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    assert quantile({0.1: 5, 1.0: 9, float("inf"): 10}, 0.5) == 0.1
    assert quantile({0.1: 5, 1.0: 9, float("inf"): 10}, 0.51) == 1.0


JUDGED = """
# TYPE headwater_freshness_judged_total counter
headwater_freshness_judged_total{objective="words",verdict="within",view="canary"} 19
headwater_freshness_judged_total{objective="words",verdict="late",view="canary"} 1
headwater_freshness_judged_total{objective="meaning",verdict="late",view="documents"} 2
"""


def test_verdicts_are_added_up_over_processes() -> None:
    meaning, words = objectives([JUDGED, JUDGED])
    assert (words.objective, words.view, words.total, words.within, words.met) == ("words", "canary", 40, 38, True)
    assert (meaning.objective, meaning.total, meaning.met) == ("meaning", 4, False)
    assert objectives([""]) == ()


@pytest.mark.parametrize(("values", "found"), [((), None), ((0, 0), None), ((0, 1_772_452_800, 1_772_000_000), 12)])
def test_when_submissions_were_found_expired_is_the_latest_of_all_processes(
    values: tuple[int, ...], found: int | None
) -> None:
    name = "headwater_submissions_expired_timestamp_seconds"
    pages = [f"# TYPE {name} gauge\n{name} {value}\n" for value in values]
    assert expired_found_at(["", *pages]) == (None if found is None else datetime(2026, 3, 2, found, tzinfo=UTC))


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lag", "found_at", "said"),
    [
        ({}, None, []),
        ({"expired": 4}, None, ["admit: EXPIRED UNREAD, at most 4 events"]),
        (
            {"expires": NOON},
            None,
            ["admit: what waits is removed unread from 2026-03-02 12:00 UTC on; start the stage"],
        ),
        ({}, NOON, ["submissions had expired unread when admission looked, 2026-03-02 12:00 UTC: sync every source"]),
        (
            {"expired": 4, "expires": NOON},
            NOON,
            ["admit: EXPIRED UNREAD", "admit: what waits", "submissions had expired"],
        ),
    ],
    ids=["nothing", "taken", "about to be", "found", "all"],
)
def test_what_expires_unread_is_said_with_what_to_do(
    lag: dict[str, object], found_at: datetime | None, said: list[str]
) -> None:
    stage = StageLag(stage="admit", group="g", events=3, oldest=NOON, **lag)  # type: ignore[arg-type]  # by name
    seen = StackStatus(processes=(), stages=(stage,), parked=0, freshness=(), objectives=(), expired_found_at=found_at)
    lines = list(expiry_lines(seen))
    assert [line[: len(start)] for line, start in zip(lines, said, strict=True)] == said
