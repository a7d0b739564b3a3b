"""Threads for what blocks: a bounded pool, and a bounded queue before it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from onestack.core.errors import Unavailable

T = TypeVar("T")


class Threads:
    """A pool that refuses work when too much of it waits already."""

    def __init__(self, count: int, waiting_max: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._waiting_max = waiting_max
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """The work's result; the event loop goes on meanwhile."""
        if self._waiting >= self._waiting_max:
            raise Unavailable().with_headers(Retry_After="1")
        self._waiting += 1
        try:
            return await self.start(work)
        finally:
            self._waiting -= 1

    def start(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Have the work done in any case, even if nobody waits for it."""
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._pool, copy_context().run, work)

    def shutdown(self) -> None:
        """Wait for what runs, and end the threads."""
        self._pool.shutdown()
