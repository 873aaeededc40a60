"""A real HTTP server on loopback that speaks OpenAI's chat protocol with the replies it is told to give."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(slots=True)
class ChatServer:
    """What it answers next, and what it was asked."""

    url: str = ""
    pieces: Sequence[str] = ()  # of the answer, an event each
    status: int = 200
    breaks_off: bool = False  # ends the stream without its end
    requests: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    def events(self) -> Iterator[str]:
        for piece in self.pieces:
            yield json.dumps({"choices": [{"index": 0, "delta": {"content": piece}}]})
        yield json.dumps({"choices": [], "usage": {"prompt_tokens": 40, "completion_tokens": 7}})
        if not self.breaks_off:
            yield "[DONE]"


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """Serve on a free port until the block ends."""
    chat = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            chat.requests.append({"path": self.path, **json.loads(body)})
            chat.authorizations.append(self.headers.get("Authorization"))
            self.send_response(chat.status)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            if chat.status == 200:
                for event in chat.events():
                    self.wfile.write(f"data: {event}\n\n".encode())
                    self.wfile.flush()
            else:
                self.wfile.write(b'{"error": {"message": "no"}}')

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    chat.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield chat
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
