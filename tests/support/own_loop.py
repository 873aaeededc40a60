"""A fake server for a process that is not asynchronous: it answers from a thread with an event loop of its own."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Final, TypeVar

T = TypeVar("T")
_OPENS_WITHIN_S: Final = 60.0


@contextmanager
def in_own_loop(server: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Yield what a server opens as, and close it in the end. Change its state only while nobody asks it."""
    opened: Future[tuple[T, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        closing = asyncio.Event()
        try:
            async with server as found:
                opened.set_result((found, asyncio.get_running_loop(), closing))
                await closing.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    found, loop, closing = opened.result(_OPENS_WITHIN_S)
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(closing.set)
        thread.join()
