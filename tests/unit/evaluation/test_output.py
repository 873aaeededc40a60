"""Standard output of the benchmarks is one JSON document, whatever the product says meanwhile."""

import json
import os
import subprocess
import sys

PROGRAM = """
import structlog
from tests.performance import __main__ as benchmarks
from tests.performance.figures import Figure

def measure(components):
    structlog.get_logger("headwater.audit").info("pass_ended", count=0)
    structlog.get_logger("headwater.audit").warning("store_busy", attempt=1)
    return [Figure(name="rows", value=8.0, unit="chunks")]

benchmarks.APART["verify"] = measure
benchmarks.running_components = lambda settings, say, **sizes: None
benchmarks.main(["verify", "--chunks=8"])
"""


def test_what_the_product_logs_is_not_among_the_figures() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=dict(os.environ), capture_output=True, text=True, timeout=60, check=True
    )
    (result,) = json.loads(ran.stdout)
    assert (result["benchmark"], [figure["value"] for figure in result["figures"]]) == ("verify", [8.0])
    assert "store_busy" in ran.stderr
    assert "verify: rows: 8 chunks" in ran.stderr
