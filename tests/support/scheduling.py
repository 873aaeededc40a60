"""Which tests run in one process where several run tests side by side."""

from typing import Final

from xdist.scheduler import LoadScopeScheduling

# Folders whose tests may use the stack. It is started once, in the process that gets them.
_WITH_STACK: Final = frozenset({"chaos", "contract", "e2e", "integration"})


class StackScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no type information
    """All folders with a stack are one piece of work, every other file is one of its own."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "stack" if _WITH_STACK.intersection(file.split("/")) else file
