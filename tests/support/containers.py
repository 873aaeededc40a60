"""The components as containers: the same images and settings as docker-compose.yml, on free ports."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from headwater.local.ports import LOOPBACK, free_ports

_ANSWER_TIMEOUT_S = 20
SERVICES = ("kafka", "elasticsearch", "milvus", "redis", "triton")
# Listener of the embedded stack -> the variable by which docker-compose.yml takes its host port.
PORT_VARIABLES = {
    "kafka": "HEADWATER_PORT_KAFKA",
    "elasticsearch": "HEADWATER_PORT_ELASTICSEARCH",
    "milvus": "HEADWATER_PORT_MILVUS",
    "redis": "HEADWATER_PORT_REDIS",
    "triton": "HEADWATER_PORT_TRITON",
}


@contextmanager
def container_stack() -> Iterator[Mapping[str, str]]:
    """Start the services; yield the HEADWATER_* settings that point at them. Fails where no engine answers."""
    _require_engine()
    from testcontainers.compose import DockerCompose

    ports = free_ports()
    with TemporaryDirectory() as scratch:
        variables = Path(scratch) / "ports.env"
        variables.write_text("".join(f"{name}={ports[listener]}\n" for listener, name in PORT_VARIABLES.items()))
        with DockerCompose(Path.cwd(), services=list(SERVICES), env_file=str(variables), wait=True):
            yield {
                "HEADWATER_KAFKA__BOOTSTRAP_SERVERS": f"{LOOPBACK}:{ports['kafka']}",
                "HEADWATER_ELASTICSEARCH__URL": f"http://{LOOPBACK}:{ports['elasticsearch']}",
                "HEADWATER_MILVUS__URL": f"http://{LOOPBACK}:{ports['milvus']}",
                "HEADWATER_REDIS__URL": f"redis://{LOOPBACK}:{ports['redis']}/0",
                "HEADWATER_TRITON__URL": f"{LOOPBACK}:{ports['triton']}",
            }


def _require_engine() -> None:
    """Ask the engine and its compose plug-in for their versions: both are needed."""
    for command in (("docker", "info"), ("docker", "compose", "version")):
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_ANSWER_TIMEOUT_S)
        except (OSError, subprocess.SubprocessError):
            pytest.fail(
                "HEADWATER_TEST_STACK=containers needs a Docker engine with its compose plug-in, and "
                f"`{' '.join(command)}` fails: start one, or unset the variable",
                pytrace=False,
            )
