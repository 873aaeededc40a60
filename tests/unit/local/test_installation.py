"""Set-up fetches what is missing or damaged, with its checksum, and nothing else."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from headwater.errors import FatalError
from headwater.local import installation, java, maven, system_packages
from headwater.local.installation import files_of, install
from headwater.local.manifest import Component, damage, parse_manifest
from headwater.local.places import Places


def archive() -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w") as zipped:
        zipped.writestr("elasticsearch-1.0/bin/elasticsearch", "#!/bin/sh\n")
    return packed.getvalue()


FILES = {"broker-1.0.jar": b"a jar", "client-1.0.jar": b"another jar", "elasticsearch-1.0.zip": archive()}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
MANIFEST = parse_manifest(f"""
maven_plugin = "p:q:1"
[kafka]
version = "1.0"
[kafka.artifacts]
"org.example:broker:1.0" = "{SHA256["broker-1.0.jar"]}"
"org.example:client:1.0" = "{SHA256["client-1.0.jar"]}"
[elasticsearch]
version = "1.0"
[elasticsearch.artifacts]
"org.example:elasticsearch:1.0:zip" = "{SHA256["elasticsearch-1.0.zip"]}"
""")
WRONG = "wrong checksum of {jars}/broker-1.0.jar: "
KAFKA = MANIFEST.components["kafka"]


@dataclass(slots=True)
class Site:
    """Where set-up installs, what it fetched, and what it told."""

    places: Places
    fetched: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def set_up(self) -> None:
        """Run set-up; `fetched` and `told` are then of this run."""
        self.fetched.clear()
        self.told.clear()
        install(self.places, lambda component, doing: self.told.append(f"{component}: {doing}"))

    @property
    def jars(self) -> Path:
        return files_of(KAFKA, self.places)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Site:
    """An empty machine: what Maven, apt and the wheels bring is on paper, all else is set-up's own work."""
    monkeypatch.chdir(tmp_path)  # not a checkout: there are no models to build
    made = Site(Places(state=tmp_path / "state", cache=tmp_path / "cache", components=tmp_path / "components"))
    home = tmp_path / "jdk"
    home.mkdir()
    wheels = tmp_path / "wheels"
    for name in ("milvus_lite/lib/milvus", "pytriton/tritonserver/bin/tritonserver"):
        (wheels / name).parent.mkdir(parents=True)
        (wheels / name).touch()

    def fetch(component: Component, *, into: Path, plugin: str, progress: Callable[[str], None]) -> None:
        made.fetched.append(component.name)
        into.mkdir(parents=True)
        for artifact in component.artifacts:
            (into / artifact.file_name).write_bytes(FILES[artifact.file_name])

    monkeypatch.setattr(maven, "fetch", fetch)
    monkeypatch.setattr(installation, "read_manifest", lambda: MANIFEST)
    monkeypatch.setattr(system_packages, "PACKAGES", ())
    monkeypatch.setattr(java, "find_java", lambda: home)
    monkeypatch.setattr(installation, "_shared_java", lambda home, _: home)
    monkeypatch.setattr(installation, "_package", lambda name: wheels / name)
    monkeypatch.setattr(installation, "_lay_out_backends", lambda target: target.mkdir(parents=True))
    return made


def raising(*_: object, **__: object) -> None:
    raise AssertionError("the network was asked")


def test_the_first_run_fetches_everything_and_says_so(site: Site) -> None:
    site.set_up()
    assert sorted(site.fetched) == ["elasticsearch", "kafka"]
    assert "kafka: fetching 1.0 by Maven" in site.told
    assert damage(KAFKA, site.jars) is None


def test_a_second_run_fetches_nothing_and_needs_no_network(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.set_up()
    monkeypatch.setattr(maven, "fetch", raising)
    monkeypatch.setattr("subprocess.run", raising)
    monkeypatch.setattr("subprocess.Popen", raising)
    site.set_up()
    assert (site.fetched, site.told) == ([], [])


@pytest.mark.parametrize("lost", ["state", "components"])
def test_what_is_only_unpacked_again_is_not_fetched_again(site: Site, lost: str) -> None:
    site.set_up()
    shutil.rmtree(getattr(site.places, lost), ignore_errors=True)
    site.set_up()
    assert site.fetched == []
    assert (site.places.components / MANIFEST.components["elasticsearch"].folder_name / "bin/elasticsearch").is_file()


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (
            lambda jars: (jars / "broker-1.0.jar").write_bytes(b"a jaR"),
            f"{WRONG}expected SHA-256 {SHA256['broker-1.0.jar']}, found {hashlib.sha256(b'a jaR').hexdigest()}",
        ),
        (lambda jars: (jars / "broker-1.0.jar").write_bytes(b""), WRONG),
        (lambda jars: (jars / "client-1.0.jar").unlink(), "kafka: {jars}/client-1.0.jar is missing"),
        (lambda jars: (jars / "more.jar").touch(), "kafka: {jars}/more.jar is not in components.toml"),
    ],
    ids=["changed", "empty", "missing", "strange"],
)
def test_a_damaged_file_of_the_cache_is_named_and_fetched_again(
    site: Site, break_it: Callable[[Path], None], said: str
) -> None:
    site.set_up()
    break_it(site.jars)
    site.set_up()
    assert site.fetched == ["kafka"]
    [sentence] = site.told
    assert sentence.removeprefix("kafka: ").startswith(said.format(jars=site.jars))
    assert sentence.endswith(": fetching 1.0 again by Maven")
    assert damage(KAFKA, site.jars) is None
    assert [path.name for path in site.jars.parent.iterdir() if path.name.startswith(".")] == []


def test_what_cannot_be_fetched_again_leaves_nothing_damaged_behind(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise FatalError("Maven failed with status 1: no route to the mirror")

    site.set_up()
    (site.jars / "broker-1.0.jar").write_bytes(b"a jaR")
    monkeypatch.setattr(maven, "fetch", away)
    with pytest.raises(FatalError, match="no route to the mirror"):
        site.set_up()
    assert not site.jars.exists()
    with pytest.raises(FatalError, match=r"^Kafka is not installed: run `headwater setup`$"):
        installation.locate(site.places)
