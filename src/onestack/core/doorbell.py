"""Doorbells: who waits for rows hears when some are committed, and need not look for them."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from onestack.core.bus import Bus
from onestack.core.db import Database

_listeners: WeakKeyDictionary[Engine, list[tuple[str, Callable[[], None]]]] = WeakKeyDictionary()


def ring(session: Session, name: str) -> None:
    """Ring when, and only when, the session's transaction is committed."""
    session.info.setdefault("doorbells", set()).add(name)


@contextmanager
def hearing(database: Database, name: str, callback: Callable[[], None]) -> Iterator[None]:
    """Within the block, `callback` is called, on the thread that committed, at each ring."""
    listener = (name, callback)
    _listeners.setdefault(database.engine, []).append(listener)
    try:
        yield
    finally:
        _listeners[database.engine].remove(listener)


@contextmanager
def carried(database: Database, bus: Bus, names: Iterable[str]) -> Iterator[None]:
    """Within the block, what rings in this process rings in all that share the bus."""
    with ExitStack() as heard:
        for name in names:
            heard.enter_context(hearing(database, name, partial(bus.ring, name)))
        yield


class Bell:
    """What a sleeping task of an event loop waits for; any thread may ring it."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def ring(self) -> None:
        if self._rung.is_set():
            return  # whoever waits has still to look
        loop = self._loop
        if loop is None:
            self._rung.set()
            return
        with suppress(RuntimeError):  # the loop may close at this very moment
            loop.call_soon_threadsafe(self._rung.set)

    async def wait(self, timeout_s: float | None) -> None:
        """Sleep until somebody rings, or rang since the last wait, or the time is over."""
        self._loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._rung.wait()
        self._rung.clear()


@event.listens_for(Session, "after_commit")
def _committed(session: Session) -> None:
    if session.in_nested_transaction() or not isinstance(session.bind, Engine):
        return
    names: set[str] = session.info.pop("doorbells", set())
    for name, callback in list(_listeners.get(session.bind, ())) if names else ():
        if name in names:
            callback()


@event.listens_for(Session, "after_rollback")
def _rolled_back(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop("doorbells", None)
