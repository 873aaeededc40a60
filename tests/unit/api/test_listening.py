import socket

from headwater.settings import ApiSettings
from query_api.__main__ import _listen


def test_a_response_is_not_held_back_for_an_acknowledgement() -> None:
    """With Nagle's algorithm on, each response of headers and body took 40 ms longer."""
    with _listen(ApiSettings(port=0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
