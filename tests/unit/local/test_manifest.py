import hashlib
from pathlib import Path

import pytest

from headwater.errors import FatalError
from headwater.local.manifest import Component, parse_manifest, read_manifest, verify

CONTENT = b"a jar"
TEXT = f"""
maven_plugin = "p:q:1"
[broker]
version = "1.0"
[broker.artifacts]
"org.example:broker:1.0" = "{hashlib.sha256(CONTENT).hexdigest()}"
"""


@pytest.fixture
def component() -> Component:
    return parse_manifest(TEXT).components["broker"]


def test_the_committed_manifest_names_every_file_once() -> None:
    components = read_manifest().components
    names = [artifact.file_name for each in components.values() for artifact in each.artifacts]
    assert set(components) == {"kafka", "elasticsearch"}
    assert len(names) == len(set(names))
    assert "elasticsearch-9.2.4.zip" in names


def test_unchanged_files_pass(component: Component, tmp_path: Path) -> None:
    (tmp_path / "broker-1.0.jar").write_bytes(CONTENT)
    verify(component, tmp_path)


def test_a_changed_file_is_refused_with_its_name_and_both_checksums(component: Component, tmp_path: Path) -> None:
    (tmp_path / "broker-1.0.jar").write_bytes(b"another jar")
    with pytest.raises(FatalError, match=r"wrong checksum of .*broker-1\.0\.jar: expected SHA-256 .* found .* delete"):
        verify(component, tmp_path)


def test_a_missing_file_is_named(component: Component, tmp_path: Path) -> None:
    with pytest.raises(FatalError, match=r"broker-1\.0\.jar is missing; .* check the mirror"):
        verify(component, tmp_path)


def test_a_file_that_nobody_listed_is_refused(component: Component, tmp_path: Path) -> None:
    (tmp_path / "broker-1.0.jar").write_bytes(CONTENT)
    (tmp_path / "stranger.jar").write_bytes(CONTENT)
    with pytest.raises(FatalError, match=r"stranger\.jar is not in components\.toml"):
        verify(component, tmp_path)


def test_another_checksum_is_another_folder(component: Component) -> None:
    other = parse_manifest(TEXT.replace(hashlib.sha256(CONTENT).hexdigest(), "0" * 64)).components["broker"]
    assert other.folder_name != component.folder_name


@pytest.mark.parametrize(
    ("entry", "said"),
    [('"org.example:broker" = "00"', "is not group:artifact"), ('"org.example:broker:1.0" = "00"', "has no SHA-256")],
)
def test_a_bad_entry_is_named(entry: str, said: str) -> None:
    with pytest.raises(FatalError, match=said):
        parse_manifest(f'maven_plugin = "p:q:1"\n[broker]\nversion = "1"\n[broker.artifacts]\n{entry}\n')
