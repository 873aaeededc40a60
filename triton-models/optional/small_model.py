"""Build `text_embedding_small` into a repository of its own: `python triton-models/optional/small_model.py --out DIR`.

The first layers of the same checksummed weights, and the first numbers of their vectors. It finds less than
`text_embedding` does: it is there to try a change of model, dimension included, and for machines with little CPU.
Nothing builds or loads it unless it is asked for. docs/models.md says how it is served.
"""

import argparse
import hashlib
import logging
import shutil
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path.append(str(HOME / "export"))

from weights import Manifest, WeightsError, shape_of, verified_folder  # noqa: E402 - a folder beside this one

log = logging.getLogger("small_model")

NAME = "text_embedding_small"
SOURCE = HOME / "optional" / NAME
CHECKPOINT = "all-MiniLM-L6-v2"
LAYERS = 3  # of six
DIMENSION = 192  # of 384
MAX_TOKENS = 256
MODULES = ("encoder.py", "embedding_model.py", "tensors.py")
TOOLS = ("onnx", "openvino", "tokenizers")
VARIANT = "fp32"  # every CPU computes it alike, and it needs no calibration
KEY_LENGTH = 16


def main() -> int:
    """Build into --out. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="small_model.py", description="Build the small embedding model.")
    parser.add_argument("--out", type=Path, required=True, help="folder of a model repository; the model lies below it")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s models: %(message)s", datefmt="%H:%M:%S")
    try:
        build(parser.parse_args().out)
    except WeightsError as error:
        log.error("%s", error)  # noqa: TRY400 - one clear sentence for an operator, not a traceback
        return 1
    return 0


def build(out: Path) -> Path:
    """Make or renew the model below `out`, beside whatever else lies there; return its folder.

    Raises WeightsError when the weights are not those of the manifest.
    """
    key, target = revision(), out / NAME
    config = target / "config.pbtxt"
    if config.is_file() and f'"{key}"' in config.read_text(encoding="utf-8"):
        log.info("%s is up to date (%s)", target, key)
        return target
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=f".{NAME}-") as scratch:
        made = Path(scratch) / NAME
        _write(made, key)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    log.info("%s is built (%s)", target, key)
    return target


def revision() -> str:
    """Return the hash of everything that the model is made from: part of the key of every cached vector."""
    digest = hashlib.sha256()
    for tool in TOOLS:
        digest.update(f"{tool}=={version(tool)}\n".encode())
    parts = [
        Path(__file__),
        Path(__file__).with_name("small_graph.py"),
        HOME / "manifest.yaml",
        HOME / "export" / "bert_graph.py",
        SOURCE / "config.pbtxt",
        SOURCE / "1" / "model.py",
        *(HOME / "runtime" / module for module in MODULES),
    ]
    for path in parts:
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:KEY_LENGTH]


def _write(made: Path, key: str) -> None:
    folder = made / "1"
    folder.mkdir(parents=True)
    from small_graph import write_artefacts  # its tools take seconds to import: only a real build pays for them

    weights = verified_folder(Manifest.load(HOME / "manifest.yaml").weights[CHECKPOINT])
    shape = replace(shape_of(weights, max_tokens=MAX_TOKENS), layers=LAYERS)
    write_artefacts(weights, folder, shape=shape, dimension=DIMENSION)
    for module in MODULES:
        shutil.copyfile(HOME / "runtime" / module, folder / module)
    shutil.copyfile(SOURCE / "1" / "model.py", folder / "model.py")
    parameters = "".join(
        f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}\n'
        for name, value in (("variant", VARIANT), ("revision", key))
    )
    config = (SOURCE / "config.pbtxt").read_text(encoding="utf-8")
    (made / "config.pbtxt").write_text(config + parameters, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
