"""Answers that are kept: what was read is not read again while nothing of its service changes.

A kept answer is good for one caller, one address and one revision of the service. The revision is
a number that commits with every change, so an answer is never older than the request's own look at
it. Operations that wait, stream, or answer without a token are never kept.
"""

from collections import OrderedDict

import msgspec

from onestack.core.api import Operation, Service
from onestack.core.context import Caller, Context
from onestack.core.db import Database
from onestack.core.response import Header, Response

KEPT_BYTES_MAX = 16 << 20
ANSWER_BYTES_MAX = 2 << 20
SPECIAL = frozenset(("x-subject-token", "if-none-match", "if-match", "range"))

Key = tuple[str | None, str, str, object]


class Kept(msgspec.Struct, frozen=True):
    """An answer, and of which moment it is."""

    caller: Caller
    revision: int
    status: int
    content: bytes
    headers: tuple[Header, ...]


class Place(msgspec.Struct, frozen=True):
    """Where this request's answer is, or goes."""

    key: Key
    revision: int


class Answers:
    """The answers of one process, the oldest forgotten first; the event loop alone uses it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Kept] = OrderedDict()
        self._bytes = 0

    def place(self, service: Service, operation: Operation, context: Context) -> Place | None:
        """Where the answer to this request is kept, if it is of a kind that is."""
        if service.topic is None or not operation.is_kept(context):
            return None
        request = context.request
        if not SPECIAL.isdisjoint(request.headers):
            return None
        address = f"{request.method} {request.base_url}{request.path}"
        key = (request.token, address, request.query_string, context.version)
        return Place(key, context.cloud.get(Database).known_revision(service.topic))

    def find(self, place: Place, caller: Caller) -> Response | None:
        """The answer that is still good for this caller."""
        kept = self._kept.get(place.key)
        if kept is None or kept.revision != place.revision or kept.caller is not caller:
            return None
        return Response(kept.status, kept.content, list(kept.headers))

    def keep(self, place: Place, caller: Caller, response: Response) -> None:
        """Keep a good answer."""
        is_good = response.status in (200, 204) and response.download is None
        if not is_good or len(response.content) > ANSWER_BYTES_MAX:
            return
        self._forget(place.key)
        self._kept[place.key] = Kept(
            caller, place.revision, response.status, response.content, tuple(response.headers)
        )
        self._bytes += len(response.content)
        while self._bytes > KEPT_BYTES_MAX:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: Key) -> None:
        old = self._kept.pop(key, None)
        if old is not None:
            self._bytes -= len(old.content)
