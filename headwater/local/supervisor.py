"""supervisord: its configuration, and talking to it."""

import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from shlex import quote
from typing import Any

from supervisor.xmlrpc import Faults, SupervisorTransport

from headwater.errors import FatalError
from headwater.local.places import Places, private_folder
from headwater.local.process import Process

# An early exit is tried again after 1, 2, 3, ... seconds: 20 tries are three and a half minutes, then the process stays
# down as FATAL and `headwater status` says so.
START_RETRIES = 20
START_SECONDS = 20  # imports alone take seconds on a busy machine; an exit within this counts as an early one
LOG_MEGABYTES = 20
LOG_BACKUPS = 3
_LAUNCH_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """One process as the supervisor sees it."""

    name: str
    state: str  # STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL, UNKNOWN
    pid: int | None
    uptime_s: int
    exit_status: int


def render(processes: Sequence[Process], *, places: Places) -> str:
    """Write `supervisord.conf`. No process starts by itself: the order is ours (`headwater.local.stack`)."""
    sections = [
        _section("unix_http_server", {"file": places.socket, "chmod": "0700"}),
        _section(
            "supervisord",
            {
                "logfile": places.logs / "supervisord.log",
                "logfile_maxbytes": f"{LOG_MEGABYTES}MB",
                "logfile_backups": LOG_BACKUPS,
                "pidfile": places.run / "supervisord.pid",
                "childlogdir": places.logs,
            },
        ),
        _section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
        *(_program(process, places) for process in processes),
    ]
    return "\n".join(sections)


def _program(process: Process, places: Places) -> str:
    return _section(
        f"program:{process.name}",
        {
            "command": " ".join(quote(part) for part in process.command),
            "autostart": "false",
            "autorestart": "true",
            "startsecs": START_SECONDS,
            "startretries": START_RETRIES,
            "stopsignal": "TERM",
            "stopwaitsecs": process.stop_grace_s,
            "killasgroup": "true",  # parser pools and model processes go with their owner
            "redirect_stderr": "true",
            "stdout_logfile": log_file(places, process.name),
            "stdout_logfile_maxbytes": f"{LOG_MEGABYTES}MB",
            "stdout_logfile_backups": LOG_BACKUPS,
            **({"directory": process.folder} if process.folder else {}),
            **({"environment": _environment(process.environment)} if process.environment else {}),
        },
    )


def _section(name: str, values: Mapping[str, object]) -> str:
    return "\n".join([f"[{name}]", *(f"{key} = {_holdable(key, str(value))}" for key, value in values.items()), ""])


def _environment(values: Mapping[str, str]) -> str:
    for name, value in values.items():
        if '"' in value:
            raise FatalError(f"{name} contains a quotation mark, which the supervisor's file cannot hold: {value}")
    return ",".join(f'{name}="{value}"' for name, value in values.items())


def _holdable(key: str, value: str) -> str:
    """Refuse what supervisord would read otherwise: it expands percent signs, some twice, and cuts off comments."""
    for awkward in ("%", "\n", " ;", " #"):
        if awkward in value:
            raise FatalError(
                f"{key} contains {awkward!r}, which the supervisor's file cannot hold: {value}; move the project, or "
                "set HEADWATER_LOCAL__STATE_FOLDER"
            )
    return value


def log_file(places: Places, name: str) -> Path:
    return places.logs / f"{name}.log"


class Supervisor:
    """The running supervisord of one stack. Calls are short: they go over a local socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def answers(self) -> bool:
        try:
            self._call("getState")
        except (OSError, HTTPException, xmlrpc.client.Error):
            return False
        return True

    def pid(self) -> int:
        return int(self._call("getPID"))

    def states(self) -> Mapping[str, ProcessState]:
        """All configured processes by name, running or not."""
        return {info["name"]: _state(info) for info in self._call("getAllProcessInfo")}

    def start(self, name: str) -> None:
        """Ask for a start and return; one that is started already stays as it is."""
        self._tolerating("startProcess", name, Faults.ALREADY_STARTED)

    def stop(self, name: str) -> None:
        """Ask for a stop and return; one that is stopped already stays as it is."""
        self._tolerating("stopProcess", name, Faults.NOT_RUNNING)

    def reload(self) -> None:
        """Take over a changed file: what is new in it can be started; what is no more, and stopped, is forgotten."""
        ((added, _, removed),) = self._call("reloadConfig")
        for name in removed:
            self._call("removeProcessGroup", name)
        for name in added:
            self._call("addProcessGroup", name)

    def shut_down(self) -> None:
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> Any:
        with closing(SupervisorTransport(serverurl=f"unix://{self._socket}")) as transport:
            # The address is never dialled: the transport goes to the socket.
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)

    def _tolerating(self, method: str, name: str, fault: int) -> None:
        try:
            self._call(method, name, False)  # noqa: FBT003 - the remote signature: do not wait
        except xmlrpc.client.Fault as error:
            if error.faultCode != fault:
                raise FatalError(f"{name}: the supervisor refused {method}: {error.faultString}") from error


def launch(places: Places, configuration: str, *, environment: Mapping[str, str]) -> Supervisor:
    """Start supervisord detached from this terminal. Its processes inherit `environment` and have their own on top."""
    private_folder(places.run)
    private_folder(places.socket.parent)
    places.logs.mkdir(parents=True, exist_ok=True)
    places.configuration.write_text(configuration)
    places.configuration.chmod(0o600)
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(places.configuration)]
    finished = subprocess.run(  # noqa: S603 - this interpreter, our own file
        command, env=environment, capture_output=True, text=True, timeout=_LAUNCH_TIMEOUT_S, check=False
    )
    supervisor = Supervisor(places.socket)
    if finished.returncode != 0:
        reason = (finished.stdout + finished.stderr).strip().splitlines()[-1:]
        raise FatalError(f"the supervisor did not start: {' '.join(reason)} (see {places.logs / 'supervisord.log'})")
    return supervisor


def _state(info: Mapping[str, Any]) -> ProcessState:
    running = info["pid"] != 0
    return ProcessState(
        name=info["name"],
        state=info["statename"],
        pid=info["pid"] or None,
        uptime_s=int(info["now"] - info["start"]) if running else 0,
        exit_status=info["exitstatus"],
    )
