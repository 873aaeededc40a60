import socket

from headwater.serving import listen


def test_a_response_is_not_held_back_for_an_acknowledgement() -> None:
    """With Nagle's algorithm on, each response of headers and body took 40 ms longer."""
    with listen("127.0.0.1", 0, group="API") as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
