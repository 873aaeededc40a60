from headwater.local.status import freshness, objectives, quantile

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
