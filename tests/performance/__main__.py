"""`python -m tests.performance NAME... [--pages N] [--chunks N]`: measure on the running stack.

JSON on standard output, progress beside it.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from headwater.clients.kafka.schema_ids import configure_codec
from headwater.settings import Settings
from tests.performance.bench import Bench, open_bench
from tests.performance.edit import measure_edits
from tests.performance.embedder import measure_embedder_figures
from tests.performance.figures import Figure, machine
from tests.performance.fusion import measure_fusion
from tests.performance.history import measure_history
from tests.performance.ingest import measure_ingest
from tests.performance.memory import measure_memory
from tests.performance.rebuild import measure_rebuild
from tests.performance.search import measure_search
from tests.performance.throughput import measure_throughput
from tests.performance.verify import measure_verify

BENCHMARKS: Mapping[str, Callable[[Bench], list[Figure]]] = {
    "embedder": measure_embedder_figures,
    "ingest": measure_ingest,
    "history": measure_history,
    "edit": measure_edits,
    "fusion": measure_fusion,
    "search": measure_search,
    "memory": measure_memory,
    "verify": measure_verify,
    "rebuild": measure_rebuild,
    "throughput": measure_throughput,
}


def main(arguments: list[str]) -> None:
    """Run the named benchmarks in the table's order; `all` is every one."""
    parser = argparse.ArgumentParser(prog="python -m tests.performance")
    parser.add_argument("names", nargs="+", choices=("all", *BENCHMARKS), metavar="NAME")
    parser.add_argument("--pages", type=int)
    parser.add_argument("--chunks", type=int)
    asked = parser.parse_args(arguments)
    settings = Settings()
    configure_codec(settings.kafka)
    results: list[dict[str, Any]] = []
    with open_bench(settings, _say, pages=asked.pages, chunks=asked.chunks) as bench:
        for name, run in BENCHMARKS.items():
            if name in asked.names or "all" in asked.names:
                _say(f"{name}: measuring")
                before = machine()
                figures = run(bench)
                results.append(
                    {
                        "benchmark": name,
                        "machine": before,
                        "load_after": machine()["load"],
                        "figures": [figure.to_json() for figure in figures],
                    }
                )
    json.dump(results, sys.stdout, indent=2)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
