"""What Maven must bring, and the proof that it did."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from headwater.errors import FatalError

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file in Maven's coordinates."""

    group: str
    name: str
    version: str
    kind: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}.{self.kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component's version and all the files it is made of."""

    name: str
    version: str
    artifacts: tuple[Artifact, ...]

    @property
    def folder_name(self) -> str:
        """Changes with every file, so that an installed folder is either exactly this list or another folder."""
        listing = "\n".join(f"{artifact.file_name} {artifact.sha256}" for artifact in self.artifacts)
        return f"{self.name}-{self.version}-{hashlib.sha256(listing.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All of `components.toml`."""

    maven_plugin: str
    components: Mapping[str, Component]


def read_manifest() -> Manifest:
    """Read the manifest that this release carries."""
    return parse_manifest(files("headwater.local").joinpath("components.toml").read_text())


def parse_manifest(text: str) -> Manifest:
    """Raise FatalError when an entry lacks a coordinate or its checksum is not a SHA-256."""
    table = tomllib.loads(text)
    plugin = table.pop("maven_plugin")
    components = {name: _component(name, section) for name, section in table.items()}
    return Manifest(maven_plugin=plugin, components=components)


def file_sha256(path: Path) -> str:
    """Digest of a file of any size, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def damage(component: Component, folder: Path) -> str | None:
    """Say how `folder` differs from the component's files, the first difference; None where it holds exactly these."""
    expected = {artifact.file_name: artifact for artifact in component.artifacts}
    found = {path.name for path in folder.iterdir()}
    if missing := sorted(expected.keys() - found):
        return f"{component.name}: {folder / missing[0]} is missing"
    if strange := sorted(found - expected.keys()):
        return f"{component.name}: {folder / strange[0]} is not in components.toml"
    for artifact in component.artifacts:
        path = folder / artifact.file_name
        actual = file_sha256(path)
        if actual != artifact.sha256:
            return f"wrong checksum of {path}: expected SHA-256 {artifact.sha256}, found {actual}"
    return None


def verify(component: Component, folder: Path) -> None:
    """Raise FatalError unless `folder`, which Maven has just filled, holds exactly the component's files."""
    if said := damage(component, folder):
        raise FatalError(
            f"{said}; delete the file of that name from Maven's local repository, check the mirror that Maven uses, "
            "and run `headwater setup` again"
        )


def _component(name: str, section: Mapping[str, object]) -> Component:
    listed = section.get("artifacts")
    if not isinstance(listed, dict) or not listed:
        raise FatalError(f"components.toml: [{name}.artifacts] lists no file")
    artifacts = tuple(_artifact(coordinates, sha256) for coordinates, sha256 in sorted(listed.items()))
    return Component(name=name, version=str(section["version"]), artifacts=artifacts)


def _artifact(coordinates: str, sha256: object) -> Artifact:
    parts = coordinates.split(":")
    if len(parts) not in {3, 4}:
        raise FatalError(f"components.toml: {coordinates!r} is not group:artifact:version[:type]")
    if not isinstance(sha256, str) or len(sha256) != hashlib.sha256().digest_size * 2:
        raise FatalError(f"components.toml: {coordinates!r} has no SHA-256")
    group, name, version = parts[:3]
    kind = parts[3] if len(parts) > len(("group", "name", "version")) else "jar"
    return Artifact(group=group, name=name, version=version, kind=kind, sha256=sha256)
