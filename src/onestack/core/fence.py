"""Fences: each lease of a flow has a number, so that an agent can refuse what comes too late."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from onestack.core.errors import Conflict

SUBJECTS_MAX = 10_000


class Fence(NamedTuple):
    """For whom a call is made; the number of a later call about the same subject is higher."""

    subject: str
    number: int


class Superseded(Conflict):
    message = "A later order for {subject} was carried out already."


current: ContextVar[Fence | None] = ContextVar("fence", default=None)


class Gate:
    """At an agent: one call for a subject at a time, and none older than what was let in before.

    A message that a crashed or pre-empted flow left behind in a queue ends here, instead of
    bringing back a guest that was deleted meanwhile.
    """

    def __init__(self, subjects_max: int = SUBJECTS_MAX) -> None:
        self._subjects_max = subjects_max
        self._mutex = threading.Lock()
        self._visits: OrderedDict[str, _Visits] = OrderedDict()

    @contextmanager
    def enter(self, fence: Fence) -> Iterator[None]:
        """Let a call in, or raise `Superseded`."""
        visits = self._of(fence.subject)
        with visits.lock:
            if fence.number < visits.latest:
                raise Superseded(subject=fence.subject)
            visits.latest = fence.number
            yield

    def _of(self, subject: str) -> "_Visits":
        with self._mutex:
            visits = self._visits.setdefault(subject, _Visits())
            self._visits.move_to_end(subject)
            while len(self._visits) > self._subjects_max:
                self._visits.popitem(last=False)
            return visits


class _Visits:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.latest = 0
