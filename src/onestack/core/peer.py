"""Whoever serves an address: carries out each message once, and in the order of the flows."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext

from onestack.core import fence, log, trace
from onestack.core.contract import Contract
from onestack.core.errors import ApiError
from onestack.core.message import (
    REQUEST_ID,
    AgentError,
    Answer,
    checked_size,
    failure,
    fence_of,
)

ANSWERS_KEPT = 500
ANSWERS_KEPT_BYTES = 8 * 1024 * 1024


class Peer:
    """One that serves a contract: runs each message once, however often it is delivered, and none
    that comes after a later one about the same subject."""

    def __init__(self, peer: object, contract: Contract) -> None:
        self.peer = peer
        self.contract = contract
        self._gate = fence.Gate()
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Future[Answer]] = OrderedDict()
        self._kept_bytes = 0

    def admit(self, message_id: str) -> tuple["Future[Answer]", bool]:
        """The answer to come, and whether this delivery is the one to be carried out."""
        with self._lock:
            known = self._answers.get(message_id)
            if known is not None:
                return known, False
            answer: Future[Answer] = Future()
            answer.set_running_or_notify_cancel()
            self._answers[message_id] = answer
            return answer, True

    def carry_out(
        self, method: str, payload: bytes, headers: Mapping[str, str], answer: "Future[Answer]"
    ) -> None:
        """Run an admitted message on this thread and set its answer."""
        try:
            found = self._answer(method, payload, headers)
        except BaseException as error:
            with self._lock:
                self._answers = OrderedDict(
                    (name, each) for name, each in self._answers.items() if each is not answer
                )
            answer.set_exception(error)
            raise
        with self._lock:
            self._kept_bytes += len(found.payload)
            answer.set_result(found)
            self._forget_oldest()

    def _answer(self, method: str, payload: bytes, headers: Mapping[str, str]) -> Answer:
        request_id = headers.get(REQUEST_ID)
        if request_id is None or request_id == trace.current_id():
            return self._run(method, payload, headers)
        with trace.recording(request_id):
            return self._run(method, payload, headers)

    def _run(self, method: str, payload: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            with (
                trace.span("driver", f"{self.contract.name}.{method[:100]}"),
                self._let_in(headers),
            ):
                result = self.contract.method(method).run(self.peer, payload)
            return Answer(checked_size(result))
        except AgentError as error:
            return failure(error.type, error.text, error.is_refusal)
        except Exception as error:
            log.exception("a call failed", error, method=f"{self.contract.name}.{method[:100]}")
            is_refusal = isinstance(error, ApiError) and error.status < 500
            return failure(type(error).__name__, str(error), is_refusal)

    @contextmanager
    def _let_in(self, headers: Mapping[str, str]) -> Iterator[None]:
        """Pass the gate with the fence that the message carries, and hand it on to calls that
        the peer makes itself."""
        order = fence_of(headers)
        token = fence.current.set(order)
        try:
            with self._gate.enter(order) if order is not None else nullcontext():
                yield
        finally:
            fence.current.reset(token)

    def _forget_oldest(self) -> None:
        for message_id, answer in list(self._answers.items()):
            if len(self._answers) <= ANSWERS_KEPT and self._kept_bytes <= ANSWERS_KEPT_BYTES:
                return
            if answer.done():
                del self._answers[message_id]
                self._kept_bytes -= len(answer.result().payload)
