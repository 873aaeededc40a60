"""Confines a parser process: no network, no other programs, bounded memory. Documents come from strangers.

Two walls against the network: a network namespace of its own where the kernel permits one, which binds native code
too, and an audit hook that refuses sockets and new programs to Python code everywhere.
"""

import ctypes
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_REFUSED = frozenset(
    {"socket.__new__", "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}
    | {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"}
)


def leave_network() -> bool:
    """Move this process to a network namespace without interfaces. Say whether the kernel permitted it.

    Call it before any thread starts: a process with threads may not change its user namespace.
    """
    unshare: Callable[[int], int] = ctypes.CDLL(None).unshare
    return unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0


def refuse_sockets_and_programs() -> None:
    """Make every socket and every new program a PermissionError in this process, for good."""

    def hook(event: str, _arguments: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            raise PermissionError(f"a parser may not use {event}")

    sys.addaudithook(hook)


def limit_memory(memory_bytes: int) -> None:
    """Bound this process's address space, and leave no core dump of a stranger's document behind."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu_of_next_document(cpu_s: int) -> None:
    """Let the kernel end this process with SIGXCPU when it uses `cpu_s` more seconds of processor time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + cpu_s + 1, hard))


def resident_bytes() -> int:
    """Return the most memory this process has held at once.

    Not `ru_maxrss`: it begins with what the starting process held, so a large stage's parsers would all look large.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM line: this kernel does not count resident memory")
