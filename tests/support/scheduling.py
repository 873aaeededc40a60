"""Which tests run in one process where several run tests side by side, and which begin first."""

import os
from collections.abc import Collection
from typing import Any, Final

from xdist.scheduler import LoadScopeScheduling

# Folders whose tests share what a process must start, and whose tests take long: a product belongs to one process, and
# the tests of the log and its readers wait more than they compute. The simulation uses none of it, and is the longest
# test of all. The components are started once, by the process that needs them first: every other file is a piece of
# its own.
_PIECES: Final = {
    "tests/simulation/": "simulation",
    "tests/integration/admit/": "log",
    "tests/integration/streams/": "log",
    "tests/e2e/lifecycle/": "own product",
    "tests/chaos/": "product",
    "tests/e2e/": "product",
}
_ON_COMPONENTS: Final = ("tests/integration/", "tests/contract/", "tests/chaos/", "tests/e2e/")
# Together most of the time: begun last, one of them would keep one processor busy for long.
_FIRST: Final = ("containers", *dict.fromkeys(_PIECES.values()))


def piece_of(file: str) -> str:
    """Return the piece of work that a file's tests belong to: its own path where it is one by itself."""
    if os.environ.get("HEADWATER_TEST_STACK") == "containers" and file.startswith(_ON_COMPONENTS):
        return "containers"  # they belong to the process that started them
    return next((piece for folder, piece in _PIECES.items() if file.startswith(folder)), file)


def next_piece(waiting: Collection[str], under_way: Collection[str]) -> str | None:
    """Return the piece to begin now; None where those that are left may come in any order.

    Two products at once would cost the memory and the idle work of both: the shared one waits for the other's end while
    there is something else. Files that use the components come before those that use nothing: those are short, and the
    processes end together.
    """
    of_others = [piece for piece in waiting if piece.startswith(_ON_COMPONENTS)]
    for piece in _FIRST:
        if piece in waiting and not (piece == "product" and "own product" in under_way and of_others):
            return piece
    return next(iter(of_others), None)


class StackScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no type information
    """All folders that share something are one piece of work, every other file is one of its own."""

    def _split_scope(self, nodeid: str) -> str:
        return piece_of(nodeid.partition("::")[0])

    def _assign_work_unit(self, node: Any) -> None:
        units = [unit for of_node in self.assigned_work.values() for unit in of_node.items()]
        under_way = {piece for piece, tests in units if not all(tests.values())}
        if (piece := next_piece(self.workqueue, under_way)) is not None:
            self.workqueue.move_to_end(piece, last=False)
        super()._assign_work_unit(node)
