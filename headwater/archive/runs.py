"""The runs in an archive: names of its objects, listing, reading, choosing."""

from collections.abc import Sequence
from typing import Final

from headwater.archive.manifests import Manifest, dump_manifest, load_manifest
from headwater.errors import FatalError
from headwater.ports.archive import ArchiveStore

MANIFESTS: Final = "runs"
SEGMENTS: Final = "segments"


def manifest_object(run: str) -> str:
    """Return the name of a run's manifest."""
    return f"{MANIFESTS}/{run}.json"


def segment_object(sha256: str) -> str:
    """Return the name of a segment."""
    return f"{SEGMENTS}/{sha256}.avro"


async def run_names(archive: ArchiveStore) -> Sequence[str]:
    """Return the names of all runs, oldest first."""
    return [name.removesuffix(".json") for name in await archive.names(MANIFESTS) if name.endswith(".json")]


async def read_run(archive: ArchiveStore, run: str) -> Manifest:
    """Return a run's manifest. Raises ManifestError where it is damaged."""
    return load_manifest(await archive.get(manifest_object(run)), name=run)


async def choose_run(archive: ArchiveStore, run: str | None) -> Manifest:
    """Return the run of this name, or the newest. Raises FatalError where there is none."""
    names = await run_names(archive)
    if not names:
        raise FatalError("the archive holds no run: check its address, or make one with `headwater backup`")
    if run is not None and run not in names:
        raise FatalError(f"--run {run}: there is no such run; `headwater restore SOURCE --list` shows those there are")
    return await read_run(archive, run or names[-1])


async def write_run(archive: ArchiveStore, manifest: Manifest) -> None:
    """Make a run exist: everything that it names is there already."""
    await archive.put(manifest_object(manifest.name), dump_manifest(manifest))
