"""What is installed where: found by `locate`, brought by `install`."""

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from headwater.errors import FatalError
from headwater.local import java, maven, system_packages
from headwater.local.manifest import Component, damage, read_manifest
from headwater.local.places import Places, is_root, reachable_by_others

Progress = Callable[[str, str], None]  # component, what it is doing

MODEL_SOURCES = Path("triton-models")  # of a checkout; the current folder is its root, as for every setting
_BUILD_TIMEOUT_S = 1_800
_LAST_CHARACTERS = 400
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_AGAIN = "run `headwater setup`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Every path that a component's command line needs."""

    java: Path  # a runtime's home, readable by the service user
    kafka: Path  # folder of jars
    elasticsearch: Path  # home, readable by the service user
    redis: Path
    milvus: Path
    triton: Path
    triton_backends: Path


def install(places: Places, progress: Progress) -> Installation:
    """Bring everything that is missing, and again what no longer has its checksum; nothing else is fetched.

    Raises FatalError with one sentence that says what to do.
    """
    manifest = read_manifest()
    for component in manifest.components.values():
        _bring_files(component, places, plugin=manifest.maven_plugin, progress=progress)
    elasticsearch = manifest.components["elasticsearch"]
    if not _elasticsearch_home(elasticsearch, places).is_dir():
        progress(elasticsearch.name, "unpacking")
        _unpack_elasticsearch(elasticsearch, places)
    system_packages.install_missing(_Named("system", progress))
    _bring_java(places, progress)
    if not _triton_backends(places).is_dir():
        progress("triton", "laying out the Python backend")
        _lay_out_backends(_triton_backends(places))
    if MODEL_SOURCES.is_dir():
        _build_models(places, progress)
    return locate(places)


def locate(places: Places) -> Installation:
    """Find everything without changing anything; FatalError names the first thing that is missing."""
    components = read_manifest().components
    kafka = _present(files_of(components["kafka"], places), f"Kafka is not installed: {_AGAIN}")
    home = _elasticsearch_home(components["elasticsearch"], places)
    _present(home, f"Elasticsearch is not installed: {_AGAIN}")
    if missing := system_packages.missing_packages():
        raise FatalError(f"{', '.join(missing)} is not installed: {_AGAIN}")
    return Installation(
        java=_present(_shared_java(java.find_java(), places), f"the Java runtime is not installed: {_AGAIN}"),
        kafka=kafka,
        elasticsearch=home,
        redis=system_packages.redis_server() or Path("redis-server"),
        milvus=_present(_package("milvus_lite") / "lib" / "milvus", "milvus-lite is incomplete: run `make setup`"),
        triton=_present(_triton_package() / "bin" / "tritonserver", "nvidia-pytriton is incomplete: run `make setup`"),
        triton_backends=_present(_triton_backends(places), f"Triton's backend is not laid out: {_AGAIN}"),
    )


@dataclass(frozen=True, slots=True)
class _Named:
    """Progress of one component."""

    component: str
    progress: Progress

    def __call__(self, doing: str) -> None:
        self.progress(self.component, doing)


def _present(path: Path, otherwise: str) -> Path:
    if not path.exists():
        raise FatalError(otherwise)
    return path


def files_of(component: Component, places: Places) -> Path:
    return places.cache / "files" / component.folder_name


def _bring_files(component: Component, places: Places, *, plugin: str, progress: Progress) -> None:
    """Fetch a component's files unless they are there and whole; 144 MB are read in a fifth of a second."""
    folder = files_of(component, places)
    if folder.is_dir():
        said = damage(component, folder)
        if said is None:
            return
        progress(component.name, f"{said}: fetching {component.version} again by Maven")
        _remove(folder)
    else:
        progress(component.name, f"fetching {component.version} by Maven")
    maven.fetch(component, into=folder, plugin=plugin, progress=_Named(component.name, progress))


def _remove(folder: Path) -> None:
    """Take a folder away at once, so that no other set-up finds half of it."""
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        folder.replace(Path(scratch) / folder.name)


def _elasticsearch_home(component: Component, places: Places) -> Path:
    return places.components / component.folder_name


def _unpack_elasticsearch(component: Component, places: Places) -> None:
    [archive] = component.artifacts
    places.components.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=places.components, prefix=".elasticsearch-") as scratch:
        shutil.unpack_archive(files_of(component, places) / archive.file_name, scratch)
        home = Path(scratch) / f"{component.name}-{component.version}"
        for launcher in (home / "bin").iterdir():
            launcher.chmod(0o755)  # zip archives unpacked by Python lose their modes
        home.replace(_elasticsearch_home(component, places))


def _bring_java(places: Places, progress: Progress) -> None:
    home = java.find_java()
    runtime = _shared_java(home, places)
    if not runtime.is_dir():
        progress("java", "copying the runtime to where the service user can read it")
        _copy_folder(home, runtime)
    ours = any(runtime.is_relative_to(folder) for folder in (places.components, Path(sys.prefix)))
    if ours and not java.is_complete(runtime):
        progress("java", "archiving the runtime's classes")
        java.complete(runtime)


def _shared_java(home: Path, places: Places) -> Path:
    """The runtime itself, or its copy where the service user could not reach it."""
    if not is_root() or reachable_by_others(home):
        return home
    return places.components / f"java-{java.version_of(home)}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:8]}"


def _copy_folder(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        copied = Path(scratch) / "copy"
        shutil.copytree(source, copied, symlinks=True)
        copied.replace(target)


def _package(name: str) -> Path:
    """Folder of an installed package, without importing it: what it needs to be imported is not all installed."""
    found = find_spec(name)
    if found is None or found.origin is None:
        raise FatalError(f"the Python package {name} is missing: run `make setup`")
    return Path(found.origin).parent


def _triton_package() -> Path:
    return _package("pytriton") / "tritonserver"


def _triton_backends(places: Places) -> Path:
    return places.cache / "components" / f"triton-backends-{version('nvidia-pytriton')}-{_PYTHON}"


def _lay_out_backends(target: Path) -> None:
    """Put the Python backend beside the stub of this Python, which starts the models' own processes."""
    package = _triton_package()
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".triton-") as scratch:
        backend = Path(scratch) / "backends" / "python"
        shutil.copytree(package / "backends" / "python", backend)
        stub = shutil.copy(package / "python_backend_stubs" / _PYTHON / "triton_python_backend_stub", backend)
        Path(stub).chmod(0o755)
        backend.parent.replace(target)


def _build_models(places: Places, progress: Progress) -> None:
    """Bring the model repository up to date; the build has its own cache and ends at once where nothing changed."""
    progress("models", "building the model repository where it has changed (a minute the first time)")
    command = [sys.executable, str(MODEL_SOURCES / "export" / "build.py"), "--out", str(places.models)]
    finished = subprocess.run(  # noqa: S603 - this interpreter, our own script
        command, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S, check=False
    )
    if finished.returncode != 0:
        raise FatalError(f"the models could not be built: {finished.stderr.strip()[-_LAST_CHARACTERS:]}")


def _library_path() -> str:
    """Triton's bundled libraries and this interpreter's own."""
    folders = [_package("pytriton").parent / "nvidia_pytriton.libs", system_packages.python_library_folder()]
    return ":".join(str(folder) for folder in folders if folder is not None)


def model_python() -> Mapping[str, str]:
    """Environment in which Triton's model processes find this environment's packages."""
    binaries = Path(sys.executable).parent
    return {
        "LD_LIBRARY_PATH": _library_path(),
        "PYTHONPATH": sysconfig.get_path("purelib"),
        # An embedded interpreter takes its prefix from the first `python3` on PATH.
        "PATH": f"{binaries}:{os.defpath}",
    }
