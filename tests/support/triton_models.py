"""The plain modules of triton-models/, which is no package: Triton's interpreter finds them beside model.py."""

import importlib
import sys
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[2] / "triton-models"


def triton_module(name: str) -> Any:
    """Import a module of runtime/, export/ or optional/ as Triton and the builds do: by its bare name."""
    for folder in ("runtime", "export", "optional"):
        if str(HOME / folder) not in sys.path:
            sys.path.append(str(HOME / folder))
    return importlib.import_module(name)
