"""A server on loopback that answers as the API would, and remembers what it was asked."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typer.testing import CliRunner, Result

from headwater.cli.main import app


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    key: str
    body: bytes


@dataclass(slots=True, kw_only=True)
class StubApi:
    """`answers` maps "METHOD /v1/path" (without the query) to a status and a JSON body; `queued` goes first."""

    port: int
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    queued: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def environment(self, key: str = "hw_test") -> Mapping[str, str]:
        """Settings that point the command line here."""
        return {
            "HEADWATER_API__PORT": str(self.port),
            "HEADWATER_API__HOST": "127.0.0.1",
            "HEADWATER_API__KEY": key,
        }


@contextmanager
def stub_api() -> Iterator[StubApi]:
    """Run the server until the end of the block."""
    stub = StubApi(port=0)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            stub.asked.append(
                Asked(method=self.command, path=self.path, key=self.headers["Authorization"].split()[1], body=body)
            )
            called = f"{self.command} {self.path.partition('?')[0]}"
            status, answer = stub.queued[called].pop(0) if stub.queued.get(called) else stub.answers[called]
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the base class names them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def run(api: StubApi, *arguments: str, typed: str | None = None) -> Result:
    """Run `headwater` against it; `typed` is what its questions are answered with."""
    return CliRunner().invoke(app, list(arguments), input=typed, env=dict(api.environment()))
