"""Time, randomness, ids and sleeping: the only door to them, so that a simulation can hold it."""

import datetime as dt
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

EPOCH = dt.datetime(1970, 1, 1)


class Source(Protocol):
    """Where time and chance come from."""

    def now(self) -> dt.datetime: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...
    def new_id(self) -> str: ...
    def randomness(self) -> random.Random: ...


class Real:
    """The machine's own clock and entropy."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def now(self) -> dt.datetime:
        return EPOCH + dt.timedelta(seconds=time.time())  # cheaper than a zone that is taken off

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def new_id(self) -> str:
        return uuid.uuid4().hex

    def randomness(self) -> random.Random:
        return self._random


class Simulated:
    """A clock that moves only when told, with ids and chance drawn from a seed."""

    def __init__(self, seed: int, start: dt.datetime = dt.datetime(2026, 1, 1)) -> None:
        self.time = start
        self._elapsed_s = 0.0
        self._random = random.Random(seed)  # noqa: S311 - reproducible on purpose

    def now(self) -> dt.datetime:
        return self.time

    def monotonic(self) -> float:
        return self._elapsed_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.time += dt.timedelta(seconds=seconds)
        self._elapsed_s += max(seconds, 0.0)

    def new_id(self) -> str:
        return uuid.UUID(int=self._random.getrandbits(128), version=4).hex

    def randomness(self) -> random.Random:
        return self._random


_source: Source = Real()


def now() -> dt.datetime:
    """The time, in UTC and without a zone: the only kind of time inside onestack."""
    return _source.now()


def monotonic() -> float:
    """Seconds that never run backwards, for measuring."""
    return _source.monotonic()


def sleep(seconds: float) -> None:
    """Block this thread."""
    _source.sleep(seconds)


def new_id() -> str:
    """A fresh id: 32 hexadecimal characters."""
    return _source.new_id()


def randomness() -> random.Random:
    """Chance for what is no secret (jitter, choice); key material comes from `secrets`."""
    return _source.randomness()


@contextmanager
def use(source: Source) -> Iterator[Source]:
    """Let `source` rule within the block."""
    global _source  # noqa: PLW0603 - the one switch that simulation needs
    before, _source = _source, source
    try:
        yield source
    finally:
        _source = before
