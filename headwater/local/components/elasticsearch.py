"""Elasticsearch: one node, as another user where we are root."""

import os
import shutil
from pathlib import Path

from headwater.errors import FatalError
from headwater.local.java import QUICK_JVM, class_archive, has_vector_module
from headwater.local.places import SERVICE_UID, is_root
from headwater.local.ports import LOOPBACK
from headwater.local.process import Probe, Process, Tier
from headwater.local.site import Site
from headwater.local.system_packages import DICTIONARY, HUNSPELL_FOLDER

_VECTOR_MODULE = "jdk.incubator.vector"
HEAP = "768m"


def process(site: Site) -> Process:
    folder = _folder(site)
    launcher = (str(site.installation.elasticsearch / "bin" / "elasticsearch"),)
    return Process(
        name="elasticsearch",
        tier=Tier.INFRASTRUCTURE,
        command=(*_as_service_user(), *launcher),
        probe=Probe.ELASTICSEARCH_HEALTH,
        port=site.ports["elasticsearch"],
        environment={
            "ES_JAVA_HOME": str(site.installation.java),
            "ES_PATH_CONF": str(folder / "config"),
            "ES_TMPDIR": str(folder / "tmp"),
            "ES_JAVA_OPTS": f"-Xms{HEAP} -Xmx{HEAP} {QUICK_JVM}",
            # Of the launcher alone: the node's classes come from modules and loaders that no archive holds.
            "CLI_JAVA_OPTS": " ".join((QUICK_JVM, *class_archive(folder / "tmp" / "launcher.jsa"))),
        },
        folder=folder,
        stop_grace_s=60,
    )


def prepare(site: Site) -> None:
    """Write the configuration and hand the node's folders to the user it runs as."""
    folder = _folder(site)
    for name in ("config/jvm.options.d", "config/hunspell/en_US", "data", "logs", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shipped = site.installation.elasticsearch / "config"
    shutil.copy(shipped / "log4j2.properties", folder / "config")
    (folder / "config" / "jvm.options").write_text(_jvm_options(shipped / "jvm.options", java=site.installation.java))
    (folder / "config" / "elasticsearch.yml").write_text(node_settings(site))
    for name in DICTIONARY:
        shutil.copy(HUNSPELL_FOLDER / name, folder / "config" / "hunspell" / "en_US")
    if is_root():
        _hand_over(folder)


def node_settings(site: Site) -> str:
    """`elasticsearch.yml`."""
    folder = _folder(site)
    return "".join(
        f"{name}: {value}\n"
        for name, value in (
            ("cluster.name", "headwater-local"),
            ("discovery.type", "single-node"),
            ("network.host", LOOPBACK),
            ("http.port", site.ports["elasticsearch"]),
            ("transport.port", site.ports["elasticsearch-transport"]),
            ("path.data", folder / "data"),
            ("path.logs", folder / "logs"),
            ("xpack.security.enabled", "false"),  # loopback only
            # A laptop's disk is often fuller than a cluster allows, and one node has nowhere else to put a shard.
            ("cluster.routing.allocation.disk.threshold_enabled", "false"),
        )
    )


def _folder(site: Site) -> Path:
    return site.places.service_folder("elasticsearch", site.stack_id)


def _jvm_options(shipped: Path, *, java: Path) -> str:
    lines = shipped.read_text().splitlines()
    if not has_vector_module(java):
        lines = [line for line in lines if _VECTOR_MODULE not in line]  # the runtime would refuse to start
    return "\n".join(lines) + "\n"


def _as_service_user() -> tuple[str, ...]:
    if not is_root():
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise FatalError("setpriv is missing: install util-linux, or start the stack as an ordinary user, not as root")
    return (setpriv, f"--reuid={SERVICE_UID}", f"--regid={SERVICE_UID}", "--clear-groups")


def _hand_over(folder: Path) -> None:
    os.chown(folder, SERVICE_UID, SERVICE_UID)
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            os.chown(Path(parent) / name, SERVICE_UID, SERVICE_UID, follow_symlinks=False)
