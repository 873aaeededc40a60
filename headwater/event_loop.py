"""The event loop of every long-running process of ours."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import uvloop

T = TypeVar("T")


def run(main: Coroutine[None, None, T]) -> T:
    """Run a coroutine to its end on libuv's loop: a third less CPU per request than asyncio's own (ADR 0069)."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
