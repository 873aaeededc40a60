from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from headwater.errors import FatalError
from headwater.local import maven
from headwater.local.manifest import read_manifest

NAMESPACE = {"m": "http://maven.apache.org/POM/4.0.0"}


def test_the_project_takes_the_listed_files_and_nothing_transitive() -> None:
    component = read_manifest().components["kafka"]
    root = ET.fromstring(maven.project(component))  # noqa: S314 - our own text
    dependencies = root.findall("m:dependencies/m:dependency", NAMESPACE)
    assert len(dependencies) == len(component.artifacts)
    for dependency in dependencies:
        assert dependency.findtext("m:exclusions/m:exclusion/m:artifactId", namespaces=NAMESPACE) == "*"


def test_a_machine_without_maven_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    component = read_manifest().components["kafka"]
    with pytest.raises(FatalError, match="Maven is missing: install it"):
        maven.fetch(component, into=tmp_path / "files", plugin="p", progress=lambda _: None)


def test_a_failing_maven_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "bin" / "mvn"
    failing.parent.mkdir()
    failing.write_text("#!/bin/sh\necho '[ERROR] no route to the mirror'\nexit 7\n")
    failing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{failing.parent}:/bin:/usr/bin")
    into = tmp_path / "cache" / "files"
    with pytest.raises(FatalError, match=r"Maven failed with status 7: \[ERROR\] no route to the mirror"):
        maven.fetch(read_manifest().components["kafka"], into=into, plugin="p", progress=lambda _: None)
    assert list(into.parent.iterdir()) == []
