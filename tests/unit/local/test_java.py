import shutil
from pathlib import Path

import pytest

from headwater.errors import FatalError
from headwater.local import java


def runtime(home: Path, version: str) -> Path:
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").touch(mode=0o755)
    (home / "release").write_text(f'IMPLEMENTOR="Somebody"\nJAVA_VERSION="{version}"\nMODULES="java.base"\n')
    return home


@pytest.mark.parametrize(("version", "feature"), [("17.0.15", 17), ("25", 25), ("21.0.4+7", 21)])
def test_the_version_is_read_without_starting_a_machine(tmp_path: Path, version: str, feature: int) -> None:
    assert java.version_of(runtime(tmp_path / "jdk", version)) == feature


def test_an_installed_runtime_that_fits_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = runtime(tmp_path / "jdk-21", "21.0.1")
    monkeypatch.setenv("PATH", str(installed / "bin"))
    assert java.find_java() == installed


def test_an_old_one_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = runtime(tmp_path / "jdk-17", "17.0.15")
    monkeypatch.setenv("PATH", str(old / "bin"))
    found = java.find_java()
    assert found != old
    assert (java.version_of(found) or 0) >= java.MINIMUM_VERSION


def test_a_runtime_cut_down_to_size_lacks_the_vector_module(tmp_path: Path) -> None:
    home = runtime(tmp_path / "jdk", "25")
    assert not java.has_vector_module(home)
    (home / "release").write_text('MODULES="java.base jdk.incubator.vector"\n')
    assert java.has_vector_module(home)


def test_the_packaged_runtime_can_archive_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_installed_homes", list)
    home = tmp_path / "runtime"
    shutil.copytree(java.find_java(), home, ignore=shutil.ignore_patterns("classes*.jsa"))
    assert not java.is_complete(home)
    java.complete(home)
    assert java.is_complete(home)


def test_a_runtime_that_cannot_archive_says_so(tmp_path: Path) -> None:
    home = runtime(tmp_path / "jdk", "25")
    (home / "bin" / "java").write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    with pytest.raises(FatalError, match="no room"):
        java.complete(home)
