"""The doctor says what keeps the stack from working: each thing in a sentence with its remedy, and exit status 1."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from headwater.cli.main import app
from headwater.errors import FatalError
from headwater.local import doctor, java, stack, system_packages
from headwater.local.installation import files_of
from headwater.local.manifest import parse_manifest
from headwater.local.places import places_of
from headwater.local.stack import LocalStack
from headwater.local.system_packages import SystemPackage
from headwater.settings import Settings
from tests.unit.local.site import paper_site
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


def another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(3, 13, 1)))


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=doctor.GIGABYTE // 2))


def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 4096 if name == "SC_PAGE_SIZE" else doctor.GIGABYTE // 2048)


def findings(runner: CliRunner) -> dict[str, dict[str, object]]:
    result = runner.invoke(app, ["doctor", "--json"])
    assert result.exit_code == 1
    return {finding["check"]: finding for finding in json.loads(result.stdout)}


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADWATER_LOCAL__STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("HEADWATER_LOCAL__CACHE_FOLDER", str(tmp_path / "cache"))


CASES: list[tuple[str, Break, str]] = [
    ("python", another_python, r"^Python 3\.13\.1 runs this: Headwater needs 3\.11, `make setup PYTHON=python3\.11`$"),
    ("checksums", wrong_checksum, r"wrong checksum of \S+broker-1\.0\.jar: .*; run `headwater setup`, which fetches"),
    ("checksums", nothing_fetched, r"broker has not been fetched: run `headwater setup`"),
    ("system packages", missing_package, r"run `sudo apt-get install -y redis-server`"),
    ("java", missing_java, r"no Java 21 or newer: run `make setup`"),
    ("installation", nothing_fetched, r"is not installed: run `headwater setup`"),
    ("state folder", folder_of_somebody_else, r"cannot be written: .* HEADWATER_LOCAL__STATE_FOLDER"),
    ("disk", full_disk, r"^only 0\.5 GB are free: make room for 5$"),
    (
        "memory",
        small_machine,
        r"^this machine has 2\.0 GB of memory: .* start a part of it with `headwater up --only`$",
    ),
    ("models", nothing_fetched, r"^\S+models is missing: run `headwater setup` in a checkout$"),
]


@pytest.mark.parametrize(("check", "breaking", "said"), CASES)
def test_what_is_wrong_is_one_sentence_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, check: str, breaking: Break, said: str
) -> None:
    breaking(monkeypatch)
    found = findings(CliRunner())[check]
    assert found["ok"] is False
    assert re.search(said, str(found["said"]))


def test_every_check_of_a_stack_that_is_down_is_shown_to_fail() -> None:
    checked = {finding.check for finding in doctor.examine(LocalStack.of(Settings()))}
    assert checked == {check for check, _, _ in CASES} | {"ports"}


def test_one_check_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, breaking, _ in CASES:
        if breaking is not nothing_fetched:  # what was fetched wrongly was fetched
            breaking(monkeypatch)
    failed = {check: str(found["said"]) for check, found in findings(CliRunner()).items() if not found["ok"]}
    assert failed.keys() >= {check for check, breaking, _ in CASES if breaking is not nothing_fetched}
    assert all(said and "\n" not in said for said in failed.values())


def test_a_port_in_use_keeps_the_stack_from_starting_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(stack, "launch", launch)
    monkeypatch.setattr(stack, "locate", lambda places: paper_site(places.state).installation)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("HEADWATER_API__PORT", str(port))
        refused = CliRunner().invoke(app, ["up"])
    assert refused.exit_code == 1
    [sentence] = refused.stderr.splitlines()
    assert sentence.startswith("headwater: ")
    assert f"port {port} (api) is in use: stop what holds it (`ss -ltnp`), move it with HEADWATER_API__PORT" in sentence


def test_a_port_in_use_is_named_with_the_setting_that_moves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("HEADWATER_API__PORT", str(port))
        found = findings(CliRunner())["ports"]
    assert found["ok"] is False
    assert f"port {port} (api) is in use" in str(found["said"])
    assert "HEADWATER_API__PORT" in str(found["said"])
