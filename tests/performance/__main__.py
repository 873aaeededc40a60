"""`python -m tests.performance NAME... [--pages N] [--chunks N]`: measure on the running stack.

JSON on standard output, progress beside it.
"""

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from headwater.errors import HeadwaterError
from headwater.settings import Settings
from tests.performance.bench import SIZES, Bench, Components, configure_benchmarks, open_bench, running_components
from tests.performance.edit import measure_edits
from tests.performance.embedder import measure_embedder_figures
from tests.performance.figures import Figure, machine
from tests.performance.fusion import measure_fusion
from tests.performance.history import measure_history
from tests.performance.ingest import measure_ingest
from tests.performance.lanes import measure_lanes
from tests.performance.listing import measure_listing
from tests.performance.memory import measure_memory
from tests.performance.rebuild import measure_rebuild
from tests.performance.search import measure_search
from tests.performance.soak import measure_soak
from tests.performance.sources import measure_sources
from tests.performance.throughput import measure_throughput
from tests.performance.verify import measure_verify

PRODUCT: Mapping[str, Callable[[Bench], list[Figure]]] = {
    "embedder": measure_embedder_figures,
    "ingest": measure_ingest,
    "history": measure_history,
    "edit": measure_edits,
    "fusion": measure_fusion,
    "search": measure_search,
    "lanes": measure_lanes,
    "memory": measure_memory,
    "soak": measure_soak,
}
APART: Mapping[str, Callable[[Components], list[Figure]]] = {  # in an installation of their own, on the components
    "verify": measure_verify,
    "rebuild": measure_rebuild,
    "throughput": measure_throughput,
    "sources": measure_sources,
    "listing": measure_listing,
}
BENCHMARKS = (*PRODUCT, *APART)
_ON_REQUEST = frozenset({"soak"})  # takes as long as it is told to: not part of `all`


def main(arguments: list[str]) -> None:
    """Run the named benchmarks in the table's order; `all` is every one."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance")
    parser.add_argument("names", nargs="+", choices=("all", *BENCHMARKS), metavar="NAME")
    for size in SIZES:
        parser.add_argument(f"--{size}", type=int)
    asked = parser.parse_args(arguments)
    names = set(asked.names) | (set(BENCHMARKS) - _ON_REQUEST if "all" in asked.names else set())
    settings = Settings()
    configure_benchmarks(settings)
    components = running_components(settings, _say, **{size: getattr(asked, size) for size in SIZES})
    results: list[dict[str, Any]] = []
    if names & PRODUCT.keys():
        with open_bench(components) as bench:
            results += [_result(name, partial(run, bench)) for name, run in PRODUCT.items() if name in names]
    results += [_result(name, partial(run, components)) for name, run in APART.items() if name in names]
    json.dump(results, sys.stdout, indent=2)


def _result(name: str, run: Callable[[], list[Figure]]) -> dict[str, Any]:
    """Return what a benchmark measured, or its `error`: the figures of all others, taken for an hour, are kept."""
    _say(f"{name}: measuring")
    before = machine()
    figures, error = [], None
    try:
        figures = run()
    except Exception as raised:  # noqa: BLE001 - whatever it is, it is this benchmark's
        error = f"{type(raised).__name__}: {raised}"
        _say("".join(traceback.format_exception(raised)) if not isinstance(raised, HeadwaterError) else error)
    for figure in figures:
        _say(f"{name}: {figure.name}: {figure.value:.4g} {figure.unit}")
    return {
        "benchmark": name,
        "machine": before,
        "load_after": machine()["load"],
        "error": error,
        "figures": [figure.to_json() for figure in figures],
    }


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
