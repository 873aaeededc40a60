"""`python -m tests.performance NAME...`: measure on the running stack; JSON on standard output, progress beside it."""

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
from tests.performance.lanes import measure_lanes
from tests.performance.memory import measure_memory
from tests.performance.search import measure_search
from tests.performance.soak import measure_soak
from tests.performance.verify import measure_verify

BENCHMARKS: Mapping[str, Callable[[Bench], list[Figure]]] = {
    "embedder": measure_embedder_figures,
    "ingest": measure_ingest,
    "history": measure_history,
    "edit": measure_edits,
    "fusion": measure_fusion,
    "search": measure_search,
    "lanes": measure_lanes,
    "memory": measure_memory,
    "verify": measure_verify,
    "soak": measure_soak,
}
_ON_REQUEST = frozenset({"soak"})  # takes as long as it is told to: not part of `all`


def main(names: list[str]) -> None:
    """Run the named benchmarks in the table's order; `all` is every one."""
    unknown = set(names) - BENCHMARKS.keys() - {"all"}
    if unknown or not names:
        sys.exit(f"name benchmarks out of: all, {', '.join(BENCHMARKS)}; not {', '.join(sorted(unknown)) or 'none'}")
    settings = Settings()
    configure_codec(settings.kafka)
    results: list[dict[str, Any]] = []
    with open_bench(settings, _say) as bench:
        for name, run in BENCHMARKS.items():
            if name in names or ("all" in names and name not in _ON_REQUEST):
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
