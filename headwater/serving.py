"""How our processes serve HTTP: a bound listener, and uvicorn ended by our own signal handling."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from headwater.errors import FatalError

KEEP_ALIVE_S: Final = 30


class Server(uvicorn.Server):
    """Stops serving at a signal. The original then raises it again, which would leave our clients unclosed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def server_config(app: Any, *, max_header_bytes: int, grace_s: int) -> uvicorn.Config:
    """Return how an ASGI app is served; what is still streaming `grace_s` after a signal is cut off."""
    return uvicorn.Config(
        app,
        http="h11",  # bounds the size of headers while they arrive, which httptools does not
        h11_max_incomplete_event_size=2 * max_header_bytes,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the audit trail names who connected, not who was claimed to
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
    )


def listen(host: str, port: int, *, group: str) -> socket.socket:
    """Bind. Raises FatalError naming the settings of this group: HEADWATER_GROUP__HOST and __PORT."""
    try:
        listener = socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise FatalError(
            f"HEADWATER_{group}__HOST {host}, HEADWATER_{group}__PORT {port}: cannot listen there "
            f"({error.strerror}); stop what does, or choose another port"
        ) from error
    # asyncio turns Nagle's algorithm off only for sockets that name TCP as their protocol, which those accepted from
    # create_server's do not: a body would wait 40 ms for the acknowledgement of its headers. Connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
