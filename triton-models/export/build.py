"""Build the Triton model repository from the checksummed weights: `python triton-models/export/build.py --out DIR`.

The result is cached by everything it was made from (sources, manifest, CPU variant, tool versions): a second run copies
nothing and ends at once.
"""

import argparse
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from calibration import calibration_texts
from variants import Variant, best_variant, cpu_flags
from weights import Manifest, WeightsError, shape_of, verified_folder

log = logging.getLogger("build")

HOME = Path(__file__).resolve().parents[1]
SOURCES = ("export", "runtime", "repository")
TOOLS = ("nncf", "onnx", "openvino", "tokenizers")
STAMP = "headwater-models.json"  # marks a folder as ours and says which key it holds
CALIBRATION_TEXTS = 200
CHECKED_TEXTS = 120
LEAST_COSINE = 0.99  # below it rankings begin to differ: a kernel bug at one length cost 0.03 of nDCG@10 unnoticed
KEY_LENGTH = 16


class BuildError(Exception):
    """The build cannot go on. The message says what to correct."""


def main() -> int:
    """Build into --out. Returns the exit status."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s models: %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    try:
        build(arguments.out, arguments.variant or best_variant(cpu_flags()))
    except (BuildError, WeightsError) as error:
        log.error("%s", error)  # noqa: TRY400 - one clear sentence for an operator, not a traceback
        return 1
    return 0


def build(out: Path, variant: Variant) -> str:
    """Make `out` a complete model repository of this variant and return its key.

    Raises BuildError when `out` holds something else, WeightsError when the weights are not those of the manifest.
    """
    started = time.monotonic()
    manifest = Manifest.load(HOME / "manifest.yaml")
    key = cache_key(variant)
    if _stamped_key(out) == key:
        log.info("%s is up to date (%s)", out, key)
        return key
    cached = cache_folder() / key
    if not (cached / STAMP).is_file():
        _fill_cache(cached, manifest, variant, key)
    _install(cached, out)
    log.info("%s is built (%s) in %.1f s", out, key, time.monotonic() - started)
    return key


def cache_key(variant: Variant) -> str:
    """Return the hash of everything that the repository is made from."""
    digest = hashlib.sha256(f"{variant}".encode())
    for tool in TOOLS:
        digest.update(f"{tool}=={version(tool)}\n".encode())
    files = [
        HOME / "manifest.yaml",
        *(path for folder in SOURCES for path in (HOME / folder).rglob("*") if path.is_file()),
    ]
    for path in sorted(path for path in files if "__pycache__" not in path.parts):
        digest.update(f"{path.relative_to(HOME)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:KEY_LENGTH]


def cache_folder() -> Path:
    """Return where built repositories are kept, by key."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "headwater" / "models"


def _fill_cache(cached: Path, manifest: Manifest, variant: Variant, key: str) -> None:
    """Build beside the cache entry and rename: an interrupted build leaves no half entry, of two the first stays."""
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cached.parent, prefix=f".{key}-") as scratch:
        repository, artefacts = Path(scratch) / "repository", Path(scratch) / "artefacts"
        artefacts.mkdir()
        built = _write_artefacts(artefacts, manifest, variant)
        _compile_ahead(artefacts, built)
        for name in manifest.models:
            _write_model(repository / name, manifest.models[name], artefacts, {"variant": built, "revision": key})
        stamp = {"key": key, "variant": built, "models": sorted(manifest.models)}
        (repository / STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
        if not cached.exists():
            repository.rename(cached)


def _write_artefacts(target: Path, manifest: Manifest, variant: Variant) -> Variant:
    """Return the variant that was written: fp32 where this CPU's arithmetic fails the check of the wanted one."""
    # The export tools take seconds to import, and the check runs what Triton will run: only a real build pays for them.
    sys.path.append(str(HOME / "runtime"))
    from encoder_artefacts import write_encoder
    from encoder_check import worst_cosine

    (checkpoint,) = {entry["weights"] for entry in manifest.models.values() if "weights" in entry}
    log.info("checksums of %s", checkpoint)
    weights = verified_folder(manifest.weights[checkpoint])
    texts = calibration_texts(HOME / "export" / "calibration.txt", CALIBRATION_TEXTS)
    (max_tokens,) = {entry["max_tokens"] for entry in manifest.models.values() if "max_tokens" in entry}
    shape = shape_of(weights, max_tokens=max_tokens)
    write_encoder(weights, target, shape=shape, variant=variant, calibration=texts)
    if variant is Variant.FP32:
        return variant
    with tempfile.TemporaryDirectory() as reference:
        write_encoder(weights, Path(reference), shape=shape, variant=Variant.FP32, calibration=texts)
        worst = worst_cosine(target, Path(reference), variant=variant, texts=texts[:CHECKED_TEXTS])
        log.info("%s against fp32: worst cosine %.4f of %d texts", variant, worst, CHECKED_TEXTS)
        if worst >= LEAST_COSINE:
            return variant
        log.warning("%s is not exact enough on this CPU (below %.2f): building fp32", variant, LEAST_COSINE)
        shutil.rmtree(target)
        shutil.copytree(reference, target)
        return Variant.FP32


def _compile_ahead(artefacts: Path, variant: Variant) -> None:
    """Leave beside the graphs what OpenVINO makes of them for this CPU: it is half of a model's start."""
    from encoder import FEW_LENGTHS, LENGTHS, SENTENCE_OUTPUT, TOKENS_OUTPUT, SentenceEncoder, available_threads

    for output, lengths in ((SENTENCE_OUTPUT, LENGTHS), (TOKENS_OUTPUT, FEW_LENGTHS)):
        SentenceEncoder(
            artefacts, variant=variant, streams=1, threads=available_threads(), output=output, lengths=lengths
        )


def _write_model(target: Path, entry: dict[str, list[str]], artefacts: Path, parameters: dict[str, str]) -> None:
    """Bring together one model: committed configuration and code, shared modules, artefacts."""
    source = HOME / "repository" / target.name
    version_folder = target / "1"
    version_folder.mkdir(parents=True)
    config = (source / "config.pbtxt").read_text(encoding="utf-8")
    lines = [
        f'parameters {{ key: "{name}" value {{ string_value: "{value}" }} }}\n' for name, value in parameters.items()
    ]
    (target / "config.pbtxt").write_text(config + "".join(lines), encoding="utf-8")
    shutil.copyfile(source / "1" / "model.py", version_folder / "model.py")
    for module in entry["modules"]:
        shutil.copyfile(HOME / "runtime" / module, version_folder / module)
    for artefact in entry.get("artefacts", ()):
        # A link, so that all models map the same pages of the word table and the graph.
        if (artefacts / artefact).is_dir():
            shutil.copytree(artefacts / artefact, version_folder / artefact, copy_function=os.link)
        else:
            (version_folder / artefact).hardlink_to(artefacts / artefact)


def _install(cached: Path, out: Path) -> None:
    """Replace `out` by the cache entry's files: linked where they share a file system, else copied."""
    if out.exists():
        if any(out.iterdir()) and _stamped_key(out) is None:
            raise BuildError(f"--out {out} holds something else than a model repository of ours: name another folder")
        shutil.rmtree(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(cached, out, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _stamped_key(folder: Path) -> str | None:
    stamp = folder / STAMP
    if not stamp.is_file():
        return None
    key: str = json.loads(stamp.read_text(encoding="utf-8"))["key"]
    return key


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="build.py", description="Build the Triton model repository.")
    parser.add_argument("--out", type=Path, required=True, help="folder to make a model repository")
    parser.add_argument("--variant", type=Variant, choices=list(Variant), help="default: what suits this CPU")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
