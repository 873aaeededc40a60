"""What set-up does about packages of the system: installs them as root, else says exactly what to install."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from headwater.errors import FatalError
from headwater.local import system_packages
from headwater.local.system_packages import PACKAGES, SystemPackage, install_missing

ASK = "system packages are missing: run `sudo apt-get install -y {}` (or your system's like) and set up again"


@dataclass(frozen=True, slots=True)
class Machine:
    """A system of which `packages` are what set-up needs, and an apt-get that notes how it was called."""

    bin: Path
    files: Path
    calls: Path

    def lacks(self, *names: str) -> None:
        for name in names:
            (self.files / name).unlink(missing_ok=True)

    def has_apt(self, *, then: str) -> None:
        """Put an apt-get on PATH that goes on with these lines of shell."""
        apt = self.bin / "apt-get"
        apt.write_text(f'#!/bin/sh\necho "$*, $DEBIAN_FRONTEND, $RUNLEVEL" >> {self.calls}\n{then}\n')
        apt.chmod(0o755)

    @property
    def installs(self) -> str:
        """Lines with which apt-get brings all the packages."""
        return f"touch {' '.join(str(self.files / package.name) for package in PACKAGES)}"

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """Root's, with every package and without apt."""
    made = Machine(bin=tmp_path / "bin", files=tmp_path / "files", calls=tmp_path / "calls")
    made.bin.mkdir()
    made.files.mkdir()
    packages = [SystemPackage(name=each.name, present=(made.files / each.name).exists) for each in PACKAGES]
    for package in packages:
        (made.files / package.name).touch()
    (made.bin / "touch").symlink_to("/usr/bin/touch")
    (made.bin / "sleep").symlink_to("/bin/sleep")
    monkeypatch.setattr(system_packages, "PACKAGES", tuple(packages))
    monkeypatch.setattr(system_packages, "is_root", lambda: True)
    monkeypatch.setenv("PATH", str(made.bin))
    return made


def refusal() -> str:
    """Set up, and return the sentence with which that fails."""
    with pytest.raises(FatalError) as failed:
        install_missing(lambda _: None)
    return str(failed.value)


def install_line(*names: str) -> str:
    return f"install -y --no-install-recommends {' '.join(names)}, noninteractive, 1"


def test_it_needs_redis_a_dictionary_and_pythons_library() -> None:
    assert [package.name for package in PACKAGES] == ["redis-server", "hunspell-en-us", "libpython3.11"]


def test_where_nothing_is_missing_nothing_is_done(machine: Machine) -> None:
    machine.has_apt(then="exit 1")
    said: list[str] = []
    install_missing(said.append)
    assert (said, machine.called()) == ([], [])


@pytest.mark.parametrize(
    "missing", [("redis-server",), ("hunspell-en-us",), ("redis-server", "hunspell-en-us", "libpython3.11")]
)
@pytest.mark.parametrize(("root", "apt"), [(False, True), (True, False), (False, False)])
def test_without_root_or_apt_it_says_exactly_what_to_install(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, missing: Sequence[str], *, root: bool, apt: bool
) -> None:
    monkeypatch.setattr(system_packages, "is_root", lambda: root)
    if apt:
        machine.has_apt(then=machine.installs)
    machine.lacks(*missing)
    assert refusal() == ASK.format(" ".join(missing))
    assert machine.called() == []


def test_root_installs_what_is_missing_and_no_more(machine: Machine) -> None:
    machine.has_apt(then=machine.installs)
    machine.lacks("redis-server", "libpython3.11")
    said: list[str] = []
    install_missing(said.append)
    assert said == ["installing redis-server, libpython3.11 by apt"]
    assert machine.called() == [install_line("redis-server", "libpython3.11")]


def test_a_fresh_image_gets_its_lists_first(machine: Machine) -> None:
    lists = machine.files / "lists"
    machine.has_apt(then=f'case "$1" in update) touch {lists};; *) [ -e {lists} ] && {machine.installs};; esac')
    machine.lacks("redis-server")
    install_missing(lambda _: None)
    assert machine.called() == [
        install_line("redis-server"),
        "update, noninteractive, 1",
        install_line("redis-server"),
    ]


@pytest.mark.parametrize("then", ["exit 100", "exec sleep 30"], ids=["refuses", "hangs"])
def test_an_apt_that_cannot_is_told_with_the_command_to_look_with(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr(system_packages, "INSTALL_TIMEOUT_S", 0.3)
    machine.has_apt(then=then)
    machine.lacks("redis-server")
    command = "apt-get install -y redis-server"
    assert refusal() == f"apt could not install redis-server: run `{command}` and read what it says"
    assert len(machine.called()) == 3


def test_what_apt_says_is_not_taken_for_the_files(machine: Machine) -> None:
    machine.has_apt(then="exit 0")
    machine.lacks("hunspell-en-us")
    assert refusal() == "apt installed hunspell-en-us but its files are not where they belong: reinstall it"
