"""The one thread that carries data between sockets, for guests that move and for their consoles."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Carrier:
    """An event loop on a thread of its own, which starts when it is first needed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="carrier", daemon=True)
        self._lock = threading.Lock()

    def begin(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have the work done, and do not wait for it."""
        with self._lock:
            if self._thread.ident is None:
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the work done."""
        return self.begin(work).result()

    def soon(self, act: Callable[..., object], *arguments: object) -> None:
        """Call something on the thread."""
        self._loop.call_soon_threadsafe(act, *arguments)

    def later(self, delay_s: float, act: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(self._loop.call_later, delay_s, act)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
