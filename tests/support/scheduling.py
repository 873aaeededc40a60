"""Which tests run in one process where several run tests side by side."""

import os
from typing import Final

from xdist.scheduler import LoadScopeScheduling

# Folders whose tests use the components alone, and those whose tests share one running product on them. The components
# are started once, by the process that needs them first; the product belongs to one process.
_PIECES: Final = {"contract": "components", "integration": "components", "chaos": "product", "e2e": "product"}


class StackScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no type information
    """All folders that share something are one piece of work, every other file is one of its own."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        piece = next((_PIECES[folder] for folder in file.split("/") if folder in _PIECES), file)
        # Containers belong to the process that started them.
        return "containers" if piece != file and os.environ.get("HEADWATER_TEST_STACK") == "containers" else piece
