"""The served models: exactness, one bad text in a batch, and the build that made them."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headwater.clients.triton.connection import TritonConnection, string_column
from headwater.clients.triton.embedder import TritonEmbedder, model_of_lane
from headwater.clients.triton.embedding_model import SERVED_AS
from headwater.errors import PoisonError
from schemas.events.base import Lane
from tests.support.stack import RunningStack
from tests.support.triton_models import HOME, triton_module

ROOT = HOME.parent
LEAST_COSINE = 0.99


def own_texts(count: int) -> list[str]:
    """Paragraphs of the project's documentation: texts that quantization was not calibrated on."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    paragraphs = [part.strip() for page in pages for part in page.read_text(encoding="utf-8").split("\n\n")]
    long_enough = [part for part in paragraphs if 20 < len(part) < 600]  # 600 characters are below 256 tokens
    return long_enough[:: max(1, len(long_enough) // count)][:count]


@pytest.mark.real
async def test_served_vectors_agree_with_fp32(stack: RunningStack, tmp_path: Path) -> None:
    texts = own_texts(300)
    build = [sys.executable, str(HOME / "export" / "build.py"), "--out", str(tmp_path / "exact"), "--variant", "fp32"]
    await asyncio.to_thread(subprocess.run, build, check=True, capture_output=True)
    encoder = triton_module("encoder")
    exact = encoder.SentenceEncoder(
        tmp_path / "exact" / "text_embedding" / "1", variant="fp32", streams=1, threads=2, lengths=(64, 256)
    )
    async with TritonEmbedder.open(stack.settings.triton) as embedder:
        served = await embedder.embed(texts, lane=Lane.BACKFILL)
    cosines = (served * exact.embed(texts)).sum(axis=1)
    assert cosines.min() >= LEAST_COSINE, texts[int(cosines.argmin())]


@pytest.mark.real
@pytest.mark.parametrize("model", model_of_lane(SERVED_AS).values())
async def test_a_refused_text_does_not_touch_the_rest_of_its_batch(stack: RunningStack, model: str) -> None:
    good, bad = ["A short rule."], ["word " * 300]
    async with TritonConnection.open(stack.settings.triton) as connection:
        alone = await connection.infer(model, {"TEXT": string_column(good)}, "EMBEDDING")

        async def one(texts: list[str]) -> object:
            return await connection.infer(model, {"TEXT": string_column(texts)}, "EMBEDDING")

        together = await asyncio.gather(*(one(bad if n % 3 == 0 else good) for n in range(30)), return_exceptions=True)
    refused = [result for result in together if isinstance(result, PoisonError)]
    vectors = [result for result in together if isinstance(result, np.ndarray)]
    assert (len(refused), len(vectors)) == (10, 20)
    assert all(np.array_equal(vector, alone) for vector in vectors)


@pytest.mark.real
async def test_a_model_cannot_be_loaded_or_unloaded_from_outside(stack: RunningStack) -> None:
    import tritonclient.grpc.aio as triton
    from tritonclient.utils import InferenceServerException

    client = triton.InferenceServerClient(stack.settings.triton.url)
    try:
        with pytest.raises(InferenceServerException):
            await client.unload_model("text_embedding", client_timeout=5)
        assert await client.is_model_ready("text_embedding", client_timeout=5)
    finally:
        await client.close()


@pytest.mark.real
def test_a_second_build_finds_its_work_done(tmp_path: Path) -> None:
    build = [sys.executable, str(HOME / "export" / "build.py"), "--out", str(tmp_path / "out"), "--variant", "fp32"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for expected in ("is built", "is up to date"):
        run = subprocess.run(build, env=environment, check=True, capture_output=True, text=True)
        assert expected in run.stderr
    assert len(list((tmp_path / "cache" / "headwater" / "models").iterdir())) == 1  # no scratch left behind
    models = triton_module("weights").Manifest.load(HOME / "manifest.yaml").models
    for name, entry in models.items():
        files = {path.name for path in (tmp_path / "out" / name / "1").iterdir()}
        assert files == {"model.py", *entry["modules"], *entry.get("artefacts", ())}
