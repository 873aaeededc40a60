"""Fetching by Maven: its own settings, mirrors and cache apply."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from headwater.errors import FatalError
from headwater.local.manifest import Component, verify

_DOWNLOADED = re.compile(r"Downloaded from ")
_LAST_LINES = 5
_REPORT_EVERY = 25


def fetch(component: Component, *, into: Path, plugin: str, progress: Callable[[str], None]) -> None:
    """Bring all files of a component into `into`, which appears only when each of them is verified.

    Raises FatalError when Maven is missing or fails, or a checksum is wrong.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise FatalError("Maven is missing: install it (Debian: apt-get install maven) and run `headwater setup` again")
    into.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=into.parent, prefix=f".{component.name}-") as scratch:
        pom = Path(scratch) / "pom.xml"
        pom.write_bytes(project(component))
        files = Path(scratch) / "files"
        _run(maven, pom, plugin=plugin, files=files, progress=progress)
        progress(f"verifying {len(component.artifacts)} files")
        verify(component, files)
        files.replace(into)


def project(component: Component) -> bytes:
    """Write a project that depends on exactly the listed files: everything transitive is excluded."""
    root = ET.Element("project", xmlns="http://maven.apache.org/POM/4.0.0")
    own = {"modelVersion": "4.0.0", "groupId": "headwater", "artifactId": component.name, "version": "1"}
    _fields(root, {**own, "packaging": "pom"})
    dependencies = ET.SubElement(root, "dependencies")
    for artifact in component.artifacts:
        dependency = ET.SubElement(dependencies, "dependency")
        coordinates = {"groupId": artifact.group, "artifactId": artifact.name, "version": artifact.version}
        _fields(dependency, {**coordinates, "type": artifact.kind})
        exclusion = ET.SubElement(ET.SubElement(dependency, "exclusions"), "exclusion")
        _fields(exclusion, {"groupId": "*", "artifactId": "*"})
    return ET.tostring(root)


def _fields(parent: ET.Element, values: dict[str, str]) -> None:
    for name, value in values.items():
        ET.SubElement(parent, name).text = value


def _run(maven: str, pom: Path, *, plugin: str, files: Path, progress: Callable[[str], None]) -> None:
    command = [maven, "-B", "-f", str(pom), f"{plugin}:copy-dependencies", f"-DoutputDirectory={files}"]
    fetched = 0
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - the tool found on PATH, arguments of our own
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        for line in running.stdout or ():
            lines.append(line.rstrip())
            if _DOWNLOADED.search(line):
                fetched += 1
                if fetched % _REPORT_EVERY == 0:
                    progress(f"{fetched} files from Maven")  # parents and Maven's own plug-ins among them
    if running.returncode != 0:
        errors = [line for line in lines if "ERROR" in line][:_LAST_LINES] or lines[-_LAST_LINES:]
        raise FatalError(f"Maven failed with status {running.returncode}: " + " | ".join(errors))
