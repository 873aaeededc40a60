"""librdkafka's producer, with an end to a call that has none."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import confluent_kafka

from headwater.errors import FatalError

GRACE_S: Final = 2.0  # a call that ends by its own timeout is a little late on a busy machine


class Producer(confluent_kafka.Producer):
    """A producer that gives up where librdkafka's `send_offsets_to_transaction` does not.

    That call asks for the group's coordinator and never checks its timeout meanwhile: after a broker was killed under
    an open transaction it has been seen not to return (https://github.com/confluentinc/librdkafka/issues/5456).
    """

    def send_offsets_to_transaction(self, positions: Any, group_metadata: Any, timeout: float = -1) -> None:
        """Add positions to the transaction within `timeout` seconds. Raises FatalError where that does not return.

        Without a timeout it is librdkafka's own call.
        """
        call = super().send_offsets_to_transaction
        if timeout < 0:
            call(positions, group_metadata, timeout)
        else:
            require_return(lambda: call(positions, group_metadata, timeout), within_s=timeout + GRACE_S)


def require_return(call: Callable[[], object], *, within_s: float) -> None:
    """Make a call and return or raise as it does. Raises FatalError after `within_s`: the process must start again."""
    answered: Future[None] = Future()

    def run() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits
            answered.set_exception(error)
        else:
            answered.set_result(None)

    # A daemon: nothing ends a thread that librdkafka holds, and the process must be able to end in spite of it.
    threading.Thread(target=run, name="bounded", daemon=True).start()
    try:
        answered.result(within_s)
    except TimeoutError as error:
        raise FatalError(f"Kafka's client has not returned within {within_s:.0f} s; start again") from error
