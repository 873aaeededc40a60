"""Standard output of the benchmarks is one JSON document, whatever the product says meanwhile and whichever fails."""

import json

import pytest
import structlog
import typer

from headwater.cli import bench as command
from headwater.errors import FatalError
from tests.performance import __main__ as benchmarks
from tests.performance.bench import Components
from tests.performance.figures import Figure


def talkative(_components: Components) -> list[Figure]:
    structlog.get_logger("headwater.audit").info("pass_ended", count=0)
    structlog.get_logger("headwater.audit").warning("store_busy", attempt=1)
    return [Figure(name="rows", value=8.0, unit="chunks")]


def test_what_the_product_logs_is_not_among_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmarks, "APART", {"verify": talkative})
    monkeypatch.setattr(benchmarks, "running_components", lambda settings, say, **sizes: None)
    benchmarks.main(["verify", "--chunks=8"])
    written = capsys.readouterr()
    (result,) = json.loads(written.out)
    assert (result["benchmark"], [figure["value"] for figure in result["figures"]]) == ("verify", [8.0])
    assert "store_busy" in written.err
    assert "verify: rows: 8 chunks" in written.err


@pytest.mark.parametrize("error", [FatalError("the stack does not come to rest"), ZeroDivisionError("nothing came")])
def test_figures_are_kept_where_another_benchmark_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    def failing(_components: Components) -> list[Figure]:
        raise error

    monkeypatch.setattr(benchmarks, "APART", {"verify": failing, "listing": talkative})
    monkeypatch.setattr(benchmarks, "running_components", lambda settings, say, **sizes: None)
    benchmarks.main(["verify", "listing"])
    written = capsys.readouterr()
    failed, kept = json.loads(written.out)
    assert (failed["benchmark"], failed["figures"]) == ("verify", [])
    assert failed["error"] == f"{type(error).__name__}: {error}"
    assert str(error) in written.err
    assert (kept["benchmark"], kept["error"], len(kept["figures"])) == ("listing", None, 1)


def test_the_command_names_what_was_not_completed_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = {"cores": 2, "cpu": "a cpu", "memory_gib": 24, "load": 0.1}
    kept = {"figures": [Figure(name="rows", value=8.0, unit="chunks").to_json()], "error": None}
    results = [
        {"benchmark": "verify", "machine": machine, "load_after": 0.1, "figures": [], "error": "FatalError: no rest"},
        {"benchmark": "listing", "machine": machine, "load_after": 0.1, **kept},
    ]
    monkeypatch.setattr(command, "_measure", lambda arguments, stack: results)
    with pytest.raises(typer.Exit) as ended:
        command.bench(["verify", "listing"], running=True)
    written = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert "not completed: verify (FatalError: no rest)" in written.err
    assert "rows" in written.out
