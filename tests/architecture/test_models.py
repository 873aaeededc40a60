"""Each model's configuration agrees with the manifest and with what the client was written for."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from headwater.clients.triton import embedder, embedding_model, generator, reranker
from schemas.events.base import Lane
from tests.support.triton_models import HOME, triton_module

MANIFEST: dict[str, Any] = yaml.safe_load((HOME / "manifest.yaml").read_text(encoding="utf-8"))
REPOSITORY = HOME / "repository"
LANES = embedder.model_of_lane(embedding_model.SERVED_AS)
PARAMETER = re.compile(r'parameters \{ key: "(\w+)" value \{ string_value: "(\w+)" \} \}')
NAMES = re.compile(r'(?<!^)name: "(\w+)"', re.MULTILINE)  # of tensors: the model's own stands at a line's start


def disagreements(config: str, name: str, entry: dict[str, Any]) -> list[str]:
    """Name each point in which a config.pbtxt differs from its manifest entry."""
    parameters = dict(PARAMETER.findall(config))
    wrong = [] if config.startswith(f'name: "{name}"\nbackend: "python"\n') else ["name or backend"]
    wrong += [key for key in ("dimension", "max_tokens") if parameters.get(key) != _text(entry.get(key))]
    if "dimension" in entry and f"dims: [{entry['dimension']}]" not in config:
        wrong.append("dims")
    return wrong


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def parameter(name: str, key: str) -> str:
    value: str = dict(PARAMETER.findall(config_of(name)))[key]
    return value


def config_of(name: str) -> str:
    return (REPOSITORY / name / "config.pbtxt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(MANIFEST["models"]))
def test_configuration_and_manifest_agree(name: str) -> None:
    assert disagreements(config_of(name), name, MANIFEST["models"][name]) == []


def test_a_disagreement_would_be_seen() -> None:
    entry = MANIFEST["models"]["text_embedding"]
    config = config_of("text_embedding").replace("384", "768")
    assert disagreements(config, "text_embedding", entry) == ["dimension", "dims"]


def test_every_committed_model_is_in_the_manifest() -> None:
    assert {path.name for path in REPOSITORY.iterdir()} == set(MANIFEST["models"])


@pytest.mark.parametrize("name", LANES.values())
def test_the_client_asks_for_what_the_embedder_is(name: str) -> None:
    entry = MANIFEST["models"][name]
    assert (entry["dimension"], entry["max_tokens"]) == (embedding_model.DIMENSION, embedding_model.MAX_TOKENS)
    assert entry["weights"] == embedding_model.NAME
    assert NAMES.findall(config_of(name)) == ["TEXT", "EMBEDDING"]
    assert entry["max_tokens"] == triton_module("encoder").MAX_TOKENS


def test_each_lane_has_an_instance_of_its_own() -> None:
    assert set(LANES) == set(Lane)
    assert len(set(LANES.values())) == len(Lane)


def test_the_clients_name_the_tensors_of_the_other_models() -> None:
    assert NAMES.findall(config_of(reranker.MODEL)) == ["QUERY", "PASSAGES", "SCORES"]
    assert NAMES.findall(config_of(generator.MODEL)) == ["QUESTION", "PASSAGES", *generator.OUTPUTS]


@pytest.mark.parametrize("checkpoint", sorted(MANIFEST["weights"]))
def test_weights_say_where_they_are_from_and_what_they_are(checkpoint: str) -> None:
    entry = MANIFEST["weights"][checkpoint]
    assert entry["origin"].startswith("https://")
    assert entry["licence"]
    assert "revision" in entry
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in entry["files"].values())


@pytest.mark.parametrize("path", sorted(HOME.glob("r*/**/*.py")), ids=lambda path: str(path.relative_to(HOME)))
def test_what_triton_runs_imports_none_of_our_packages(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"^\s*(from|import) (headwater|schemas|streams|connectors|query_api)\b", source, re.MULTILINE)


def test_the_bulk_model_takes_what_the_live_one_leaves() -> None:
    bulk, live = (int(parameter(LANES[lane], "niceness")) for lane in (Lane.BACKFILL, Lane.LIVE))
    assert bulk > live == 0
