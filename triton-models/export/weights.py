"""The manifest, and the weights that it vouches for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any

import yaml

from bert_graph import BertShape

CHUNK_BYTES = 1 << 20


class WeightsError(Exception):
    """The weights are missing or are not the ones that the manifest names. The message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What manifest.yaml says."""

    weights: Mapping[str, Any]  # by checkpoint
    models: Mapping[str, Any]  # by Triton model

    @classmethod
    def load(cls, path: Path) -> "Manifest":
        """Read the manifest."""
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return cls(weights=content["weights"], models=content["models"])


def verified_folder(entry: Mapping[str, Any]) -> Path:
    """Return the folder of an entry of `weights`, every listed file of which has the sha256 that the manifest states.

    The distribution is only a carrier of files: its code is never imported. Raises WeightsError.
    """
    name = entry["distribution"]
    try:
        folder = Path(str(Distribution.from_name(name).locate_file(entry["folder"])))
    except PackageNotFoundError:
        raise WeightsError(f"the distribution {name} is not installed: run `uv sync --extra embedded`") from None
    for file, expected in entry["files"].items():
        path = folder / file
        if not path.is_file():
            raise WeightsError(f"{name} lacks the file {file}: install version {entry['distribution_version']}")
        if sha256_of(path) != expected:
            raise WeightsError(f"{path} is not the file that manifest.yaml names (sha256 differs): reinstall {name}")
    return folder


def sha256_of(path: Path) -> str:
    """Return a file's sha256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def shape_of(folder: Path, *, max_tokens: int) -> BertShape:
    """Read the sizes from the checkpoint's config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return BertShape(
        layers=config["num_hidden_layers"],
        hidden=config["hidden_size"],
        heads=config["num_attention_heads"],
        epsilon=config["layer_norm_eps"],
        max_tokens=max_tokens,
    )
