"""Where the embedded stack keeps things, and who may reach them."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir

from headwater.settings import LocalSettings

# Elasticsearch refuses to run as root, so root starts it as this user. The number belongs to no account: it lies above
# what Debian hands out to people and packages and below the reserved range.
SERVICE_UID = 64816
# Root's own folders are usually closed to others, so what the other user must reach lies here.
SYSTEM_FOLDER = Path("/var/lib/headwater")
# A socket's path has 108 bytes on Linux, the last one a null; the supervisor adds its process id while it binds.
MAX_SOCKET_PATH = 90
_SEARCH_BY_OTHERS = 0o001


def is_root() -> bool:
    return os.geteuid() == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Folders of one stack. Nothing is created by naming them."""

    state: Path  # absolute; this stack's own
    cache: Path  # downloads, shared by all stacks of this user
    components: Path  # unpacked software, shared, readable by the service user
    more_models: Path | None = None  # an operator's own model repository, served beside the project's

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def run(self) -> Path:
        return self.state / "run"

    @property
    def models(self) -> Path:
        return self.state / "models"

    @property
    def configuration(self) -> Path:
        return self.run / "supervisord.conf"

    @property
    def socket(self) -> Path:
        """Of the supervisor, in a folder only this user can enter."""
        inside = self.run / "supervisor.sock"
        if len(os.fsencode(inside)) <= MAX_SOCKET_PATH:
            return inside
        name = f"headwater-{os.geteuid()}-{path_digest(self.state)}"
        return Path(gettempdir()) / name / "supervisor.sock"

    def data(self, component: str) -> Path:
        return self.state / "data" / component

    def service_folder(self, component: str, stack_id: str) -> Path:
        """Data and configuration of a component that may run as the service user."""
        if not is_root() or reachable_by_others(self.state):
            return self.data(component)
        return service_root(stack_id) / component


def places_of(settings: LocalSettings) -> Places:
    """Resolve the folders that the settings name, relative ones against the current folder."""
    cache = settings.cache_folder or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headwater"
    cache = cache.absolute()
    return Places(
        state=settings.state_folder.absolute(),
        cache=cache,
        components=SYSTEM_FOLDER / "components" if is_root() else cache / "components",
        more_models=settings.model_repository and settings.model_repository.absolute(),
    )


def service_root(stack_id: str) -> Path:
    """What root's stack keeps outside of its state folder, because another user must reach it."""
    return SYSTEM_FOLDER / "stacks" / stack_id


def path_digest(path: Path) -> str:
    """Twelve hex digits that name a path in places too short for the path itself."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]


def reachable_by_others(path: Path) -> bool:
    """Whether another user can get through every existing folder on the way to `path`."""
    on_the_way = [folder for folder in (path, *path.parents) if folder.exists()]
    return all(folder.stat().st_mode & _SEARCH_BY_OTHERS for folder in on_the_way)


def private_folder(path: Path) -> Path:
    """Create a folder that only this user can enter, or close one that exists."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path
