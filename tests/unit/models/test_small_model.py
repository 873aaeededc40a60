"""The optional small model: what it is made of, and that its build finds its work done."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.second_triton import SMALL, SMALL_DIMENSION
from tests.support.triton_models import HOME, triton_module

small_model = triton_module("small_model")
HIDDEN, WIDE, TOKENS, KEPT = 8, 16, 4, 3
TINY = {
    "embeddings.position_embeddings.weight": (TOKENS, HIDDEN),
    "embeddings.token_type_embeddings.weight": (1, HIDDEN),
    **{f"embeddings.LayerNorm.{part}": (HIDDEN,) for part in ("weight", "bias")},
    **{
        f"encoder.layer.0.{name}.{part}": (rows, columns) if part == "weight" else (rows,)
        for name, rows, columns in (
            *((f"attention.self.{each}", HIDDEN, HIDDEN) for each in ("query", "key", "value")),
            ("attention.output.dense", HIDDEN, HIDDEN),
            ("intermediate.dense", WIDE, HIDDEN),
            ("output.dense", HIDDEN, WIDE),
        )
        for part in ("weight", "bias")
    },
    **{
        f"encoder.layer.0.{name}.LayerNorm.{part}": (HIDDEN,)
        for name in ("attention.output", "output")
        for part in ("weight", "bias")
    },
}


def test_configuration_and_build_agree() -> None:
    config = (HOME / "optional" / SMALL / "config.pbtxt").read_text(encoding="utf-8")
    assert config.startswith(f'name: "{small_model.NAME}"\nbackend: "python"\n')
    assert f"dims: [{small_model.DIMENSION}]" in config
    for name, value in (("dimension", small_model.DIMENSION), ("max_tokens", small_model.MAX_TOKENS)):
        assert f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}' in config
    assert (small_model.NAME, small_model.DIMENSION) == (SMALL, SMALL_DIMENSION)
    assert triton_module("encoder").MAX_TOKENS == small_model.MAX_TOKENS


def test_the_default_repository_knows_nothing_of_it() -> None:
    build = triton_module("build")
    assert "optional" not in build.SOURCES
    assert SMALL not in (HOME / "manifest.yaml").read_text(encoding="utf-8")


def test_what_was_built_is_built_again_only_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []

    def write_artefacts(_weights: Path, folder: Path, *, shape: Any, dimension: int) -> None:
        assert (shape.layers, dimension) == (small_model.LAYERS, small_model.DIMENSION)
        (folder / "words.npy").write_text("words")
        written.append(dimension)

    monkeypatch.setattr(triton_module("small_graph"), "write_artefacts", write_artefacts)
    (tmp_path / "own_model").mkdir()
    first = small_model.build(tmp_path)
    config = (first / "config.pbtxt").read_text(encoding="utf-8")
    assert f'"{small_model.revision()}"' in config
    assert '"fp32"' in config
    assert {path.name for path in (first / "1").iterdir()} == {"model.py", "words.npy", *small_model.MODULES}
    assert small_model.build(tmp_path) == first
    assert len(written) == 1
    monkeypatch.setattr(small_model, "revision", lambda: "another")
    small_model.build(tmp_path)
    assert len(written) == 2
    assert {path.name for path in tmp_path.iterdir()} == {SMALL, "own_model"}, "nothing is left behind, nor taken away"


def test_short_vectors_are_the_first_numbers_of_whole_ones_at_unit_length(tmp_path: Path) -> None:
    import onnx
    import openvino

    bert_graph, small_graph = triton_module("bert_graph"), triton_module("small_graph")
    drawn = np.random.default_rng(7)
    weights = {name: drawn.normal(size=size).astype(np.float32) for name, size in TINY.items()}
    shape = bert_graph.BertShape(layers=1, hidden=HIDDEN, heads=2, epsilon=1e-12, max_tokens=TOKENS)
    rows = drawn.normal(size=(1, TOKENS, HIDDEN)).astype(np.float32)

    def sentence(model: Any) -> NDArray[np.float32]:
        onnx.save(model, tmp_path / "graph.onnx")
        compiled = openvino.Core().compile_model(tmp_path / "graph.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        found: NDArray[np.float32] = compiled([rows, np.ones((1, TOKENS), np.float32)])["sentence"][0]
        return found

    whole = sentence(bert_graph.encoder_graph(weights, shape))
    short = sentence(small_graph.shortened(bert_graph.encoder_graph(weights, shape), KEPT))
    np.testing.assert_allclose(short, whole[:KEPT] / np.linalg.norm(whole[:KEPT]), atol=1e-5)
