"""Heads of requests that came before: what a client says again is not read again."""

import msgspec

from onestack.core.context import Request
from onestack.core.turn import Meaning

KNOWN_MAX = 1_000
BYTES_MAX = 4 << 10  # of a head that is kept


class Known(msgspec.Struct, frozen=True):
    """A request that came without a body, and what it meant."""

    request: Request
    meaning: Meaning


class Heads:
    """The heads of one process, the oldest forgotten first; the event loop alone uses it."""

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}
        self.find = self._known.get

    def keep(self, head: bytes, known: Known) -> None:
        """Keep what a head turned out to mean."""
        if len(head) > BYTES_MAX:
            return
        if len(self._known) >= KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[head] = known
