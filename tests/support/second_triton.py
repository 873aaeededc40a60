"""A model server of a test's own, which embeds with nothing but the optional small model."""

import asyncio
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from headwater.local.stack import LocalStack
from headwater.settings import Settings
from tests.support.triton_models import HOME

SMALL = "text_embedding_small"
SMALL_DIMENSION = 192
_BUILD_TIMEOUT_S = 240


@contextmanager
def second_triton(folder: Path, *, beside: Iterable[Path] = ()) -> Iterator[Mapping[str, str]]:
    """Build the small model, serve it by a stack without anything else; yield the settings that lead there.

    `beside`: folders of other models to serve. A replica of the API wants a reranker and a generator.
    """
    build = [sys.executable, str(HOME / "optional" / "small_model.py"), "--out", str(folder / "models")]
    subprocess.run(build, check=True, capture_output=True, timeout=_BUILD_TIMEOUT_S)
    for model in beside:
        (folder / "models" / model.name).symlink_to(model.absolute())
    stack = LocalStack.of(Settings.model_validate({"local": {"state_folder": folder, "ports": "free"}}))
    try:
        asyncio.run(stack.up(_ignore, names=frozenset({"triton"})))
        yield {
            "HEADWATER_TRITON__URL": stack.running_settings().triton.url,
            "HEADWATER_TRITON__TOKENIZER_PATTERN": str(folder / "models" / "{model}" / "1" / "tokenizer.json"),
        }
    finally:
        asyncio.run(stack.down(_ignore))


def _ignore(_name: str, _what: str) -> None:
    """Progress is for people."""
