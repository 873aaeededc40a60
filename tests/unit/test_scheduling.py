"""What a test process begins next."""

import pytest

from tests.support.scheduling import next_piece, piece_of

LONG = ("simulation", "log", "own product", "product")
LAG, UNIT = "tests/integration/local/test_lag.py", "tests/unit/test_retry.py"


@pytest.mark.parametrize(
    ("file", "piece"),
    [
        ("tests/simulation/test_mutants.py", "simulation"),
        ("tests/integration/streams/test_commits.py", "log"),
        ("tests/e2e/lifecycle/test_rebuild.py", "own product"),
        ("tests/e2e/test_folder.py", "product"),
        (LAG, LAG),
        (UNIT, UNIT),
    ],
)
def test_folders_that_share_something_are_one_piece(file: str, piece: str) -> None:
    assert piece_of(file) == piece


def test_containers_belong_to_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_TEST_STACK", "containers")
    assert {piece_of(LAG), piece_of("tests/e2e/lifecycle/test_rebuild.py")} == {"containers"}
    assert piece_of(UNIT) == UNIT


@pytest.mark.parametrize(
    ("waiting", "under_way", "piece"),
    [
        ((UNIT, LAG, *LONG), (), "simulation"),
        ((UNIT, LAG, "own product", "product"), ("simulation", "log"), "own product"),
        ((UNIT, LAG, "product"), ("log", "own product"), LAG),
        ((UNIT, "product"), ("log", "own product"), "product"),
        ((UNIT, LAG, "product"), ("log",), "product"),
        ((UNIT, LAG), (), LAG),
        ((UNIT,), (), None),
    ],
)
def test_what_takes_long_begins_first(waiting: tuple[str, ...], under_way: tuple[str, ...], piece: str | None) -> None:
    assert next_piece(waiting, under_way) == piece
