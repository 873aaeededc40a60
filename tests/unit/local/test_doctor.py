"""The doctor says what keeps the stack from working: each thing in a sentence with its remedy, and exit status 1."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headwater.cli.main import app
from headwater.errors import FatalError
from headwater.local import doctor, java, system_packages
from headwater.local.installation import files_of
from headwater.local.manifest import parse_manifest
from headwater.local.places import places_of
from headwater.local.system_packages import SystemPackage
from headwater.settings import Settings
from tests.unit.local.test_manifest import TEXT

Break = Callable[[pytest.MonkeyPatch], None]


def wrong_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = parse_manifest(TEXT)
    monkeypatch.setattr(doctor, "read_manifest", lambda: manifest)
    folder = files_of(manifest.components["broker"], places_of(Settings().local))
    folder.mkdir(parents=True)
    (folder / "broker-1.0.jar").write_bytes(b"another jar")


def nothing_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "read_manifest", lambda: parse_manifest(TEXT))


def missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = SystemPackage(name="redis-server", present=lambda: False)
    monkeypatch.setattr(system_packages, "PACKAGES", (absent,))


def missing_java(monkeypatch: pytest.MonkeyPatch) -> None:
    def find() -> Path:
        raise FatalError("no Java 21 or newer: run `make setup`")

    monkeypatch.setattr(java, "find_java", find)


def folder_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)


def findings(runner: CliRunner) -> dict[str, dict[str, object]]:
    result = runner.invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    return {finding["check"]: finding for finding in json.loads(result.stdout)}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWATER_LOCAL__STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("HEADWATER_LOCAL__CACHE_FOLDER", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("check", "breaking", "said"),
    [
        ("checksums", wrong_checksum, r"wrong checksum of \S+broker-1\.0\.jar: .*; then remove \S+ and run `headwater"),
        ("checksums", nothing_fetched, r"broker has not been fetched: run `headwater setup`"),
        ("system packages", missing_package, r"run `sudo apt-get install -y redis-server`"),
        ("java", missing_java, r"no Java 21 or newer: run `make setup`"),
        ("installation", nothing_fetched, r"is not installed: run `headwater setup`"),
        ("state folder", folder_of_somebody_else, r"cannot be written: .* HEADWATER_LOCAL__STATE_FOLDER"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, check: str, breaking: Break, said: str
) -> None:
    breaking(monkeypatch)
    found = findings(CliRunner())[check]
    assert found["ok"] is False
    assert re.search(said, str(found["said"]))


def test_a_port_in_use_is_named_with_the_setting_that_moves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("HEADWATER_API__PORT", str(port))
        found = findings(CliRunner())["ports"]
    assert found["ok"] is False
    assert f"port {port} (api) is in use" in str(found["said"])
    assert "HEADWATER_API__PORT" in str(found["said"])
