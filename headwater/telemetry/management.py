"""Where a process answers /livez, /readyz and /metrics: a thread of its own, so that a stalled loop is seen."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from headwater.settings import ManagementSettings


class Health:
    """What a process says of itself. Thread-safe: the loop writes, the management thread reads.

    Liveness: `beat()` was called within `stall_s`. Readiness: every dependency that was named is ready.
    """

    def __init__(self, *, stall_s: float = 60.0) -> None:
        self._stall_s = stall_s
        self._beat = time.monotonic()
        self._waiting_for: dict[str, str | None] = {}
        self._checks: dict[str, Callable[[], str | None]] = {}
        self._lock = threading.Lock()

    def beat(self) -> None:
        """Say that the loop is alive. Call at least every few seconds, idle or not."""
        self._beat = time.monotonic()

    def ready(self, dependency: str) -> None:
        """Say that a dependency is ready."""
        with self._lock:
            self._waiting_for[dependency] = None

    def unready(self, dependency: str, reason: str) -> None:
        """Say that a dependency is not ready, and why, without secrets or text."""
        with self._lock:
            self._waiting_for[dependency] = reason

    def check(self, dependency: str, reason_if_not: Callable[[], str | None]) -> None:
        """Ask this function whenever readiness is asked for; it returns a reason, or None when ready, at once."""
        with self._lock:
            self._checks[dependency] = reason_if_not

    def is_live(self) -> bool:
        """Say whether the loop has beaten lately."""
        return time.monotonic() - self._beat < self._stall_s

    def readiness(self) -> Mapping[str, str | None]:
        """Return a reason per dependency, None for those that are ready."""
        with self._lock:
            state, checks = dict(self._waiting_for), dict(self._checks)
        return state | {name: ask() for name, ask in checks.items()}


class ManagementServer:
    """Serves a `Health` and the metrics on the management port. Use as a context manager; `port` is the real one."""

    def __init__(self, settings: ManagementSettings, health: Health) -> None:
        self._server = ThreadingHTTPServer((settings.host, settings.port), _handler(health))
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="management", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(health: Health) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._reply(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest())
            elif path == "/livez":
                self._reply_state(ok=health.is_live(), body={"live": health.is_live()})
            elif path == "/readyz":
                state = health.readiness()
                ok = bool(state) and all(reason is None for reason in state.values())
                self._reply_state(ok=ok, body={"ready": ok, "dependencies": state})
            else:
                self._reply_state(ok=False, body={"paths": ["/livez", "/readyz", "/metrics"]}, bad=HTTPStatus.NOT_FOUND)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            """Probes come every second: not logged."""

        def _reply_state(
            self, *, ok: bool, body: Mapping[str, object], bad: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE
        ) -> None:
            self._reply(HTTPStatus.OK if ok else bad, "application/json", json.dumps(body).encode())

        def _reply(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
