"""Connections through a proxy work, are cut, and work again; a broker's clients are not led round it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from headwater.local.ports import LOOPBACK
from tests.support.proxy import Proxy

PATIENCE_S = 10.0


def yes(_port: int) -> bytes:
    return b"yes"


def address(port: int) -> bytes:
    """Return what a broker says of itself, as Kafka frames it."""
    body = b"\x0a" + LOOPBACK.encode() + port.to_bytes(4) + b" and more"
    return len(body).to_bytes(4) + body


@contextmanager
def component(answer: Callable[[int], bytes]) -> Iterator[int]:
    """Answer whatever is said, one connection after the other, with what the port makes of it; yield the port."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with closing(connection):
                while connection.recv(1024):
                    connection.sendall(answer(port))

    with closing(socket.create_server((LOOPBACK, 0))) as listening:
        port: int = listening.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        yield port
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=PATIENCE_S)


def told(connection: socket.socket, length: int) -> bytes:
    """Say something; return what is answered, nothing where the connection has ended."""
    try:
        connection.sendall(b"?")
        return connection.recv(length)
    except ConnectionError:
        return b""


def test_a_cut_ends_all_connections_and_new_ones_until_it_is_over() -> None:
    with component(yes) as port, Proxy(target=port).relaying() as proxy:
        with closing(connect(proxy)) as before:
            assert told(before, 3) == b"yes"
            with proxy.cut():
                assert told(before, 1) == b""
                with closing(connect(proxy)) as during:
                    assert told(during, 3) == b""
        assert proxy.ended == 2
        with closing(connect(proxy)) as after:
            assert told(after, 3) == b"yes"


def test_a_broker_sends_its_clients_to_the_proxy() -> None:
    with (
        component(address) as port,
        Proxy(target=port, broker=True).relaying() as proxy,
        closing(connect(proxy)) as client,
    ):
        wanted = address(proxy.port)
        assert told(client, len(wanted)) == wanted
