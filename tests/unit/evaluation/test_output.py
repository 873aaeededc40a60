"""Standard output of the benchmarks is one JSON document, whatever the product says meanwhile."""

import json

import pytest
import structlog

from tests.performance import __main__ as benchmarks
from tests.performance.bench import Components
from tests.performance.figures import Figure
from tests.support.telemetry import undisturbed_logging


def talkative(_components: Components) -> list[Figure]:
    structlog.get_logger("headwater.audit").info("pass_ended", count=0)
    structlog.get_logger("headwater.audit").warning("store_busy", attempt=1)
    return [Figure(name="rows", value=8.0, unit="chunks")]


def test_what_the_product_logs_is_not_among_the_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmarks, "APART", {"verify": talkative})
    monkeypatch.setattr(benchmarks, "running_components", lambda settings, say, **sizes: None)
    with undisturbed_logging():
        benchmarks.main(["verify", "--chunks=8"])
    written = capsys.readouterr()
    (result,) = json.loads(written.out)
    assert (result["benchmark"], [figure["value"] for figure in result["figures"]]) == ("verify", [8.0])
    assert "store_busy" in written.err
    assert "verify: rows: 8 chunks" in written.err
