"""Which tests run in one process where several run tests side by side."""

import os
from typing import Any, Final

from xdist.scheduler import LoadScopeScheduling

# Folders whose tests use the components alone, whose tests have a product of their own, and whose tests share one. The
# components are started once, by the process that needs them first; a product belongs to one process. The tests of the
# log and its readers are a piece of their own: they wait more than they compute. The simulation uses none of it, and is
# the longest test of all.
_PIECES: Final = {
    "tests/simulation": "simulation",
    "tests/integration/admit": "log",
    "tests/integration/streams": "log",
    "tests/e2e/lifecycle": "own product",
    "tests/integration": "components",
    "tests/contract": "components",
    "tests/chaos": "product",
    "tests/e2e": "product",
}
# Together most of the time: begun last, one of them would keep one processor busy for long. The product of its own
# comes before the other: when its tests are over it is stopped, and costs the rest of the run nothing.
_FIRST: Final = ("containers", *dict.fromkeys(_PIECES.values()))


class StackScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no type information
    """All folders that share something are one piece of work, every other file is one of its own."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        piece = next((piece for folder, piece in _PIECES.items() if file.startswith(f"{folder}/")), file)
        stacked = piece not in {file, "simulation"}
        # Containers belong to the process that started them.
        return "containers" if stacked and os.environ.get("HEADWATER_TEST_STACK") == "containers" else piece

    def _assign_work_unit(self, node: Any) -> None:
        for piece in _FIRST:
            if piece in self.workqueue:
                self.workqueue.move_to_end(piece, last=False)
                break
        super()._assign_work_unit(node)
