"""The bus: a driver's Protocol is the contract, and calls to a peer are derived from it.

What travels is at least once: a call may reach its peer twice, so every method of a contract is
idempotent; a peer answers a message that it has seen already with the answer that it kept.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from onestack.core import clock, fence, log, trace
from onestack.core.contract import Contract, ContractBroken, Method, contract
from onestack.core.errors import ApiError
from onestack.core.holding import holding

if TYPE_CHECKING:
    from typing_extensions import TypeForm

T = TypeVar("T")

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
TIMEOUT_S = 60.0
ANSWERS_KEPT = 500
ANSWERS_KEPT_BYTES = 8 * 1024 * 1024

MESSAGE_ID = "message-id"
REQUEST_ID = "request-id"
FENCE = "fence"

_ADDRESS = re.compile(r"agent\.[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.[a-z][a-z0-9_]{0,31}")
_TOPIC = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,15}")
_PATTERN = re.compile(r"([A-Za-z0-9_-]+|\*|#)(\.([A-Za-z0-9_-]+|\*|#)){0,15}")


class BusError(Exception):
    """A message did not do what it was sent for."""


class AgentUnreachable(BusError):
    """Nobody ever served the address, or the way to it is closed."""


class AgentTimeout(BusError):
    """No answer in time; the peer may have done the work all the same."""


class AgentBusy(BusError):
    """More messages wait for the peer than its queue may hold."""


class MessageTooLarge(BusError):
    """An argument, a result or a notification is larger than a message may be."""


class AgentError(BusError):
    """The peer raised an exception: its type's name and its text.

    It is a refusal when the peer raised a client's error, such as `Conflict`: the same call again
    would be refused again.
    """

    def __init__(self, type: str, text: str, is_refusal: bool = False) -> None:  # noqa: A002
        super().__init__(f"{type}: {text}")
        self.type = type
        self.text = text
        self.is_refusal = is_refusal


class Failure(msgspec.Struct, frozen=True):
    """How a peer's exception travels."""

    type: str
    text: str
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer sends back: an encoded result, or an encoded `Failure`."""

    payload: bytes
    failed: bool = False

    def open(self) -> bytes:
        """The encoded result; a failure is raised as `AgentError`."""
        if self.failed:
            failure = msgspec.json.decode(self.payload, type=Failure)
            raise AgentError(failure.type, failure.text, failure.is_refusal)
        return self.payload


def agent_address(host: str, kind: str) -> str:
    """The address of what a host's agent does, such as `agent.rack1.hypervisor`."""
    return checked_address(f"agent.{host}.{kind}")


def checked_address(address: str) -> str:
    """The address, when it has the form agent.HOST.KIND."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address[:300]!r} is no address; one looks like agent.HOST.KIND")
    return address


def checked_topic(topic: str) -> str:
    """The topic, when it is words with dots between them."""
    if not _TOPIC.fullmatch(topic) or len(topic) > 200:
        raise ValueError(f"{topic[:300]!r} is no topic; one looks like identity.user.created")
    return topic


def checked_pattern(pattern: str) -> str:
    """The pattern of topics, when it is words, `*` (one word) and `#` (any number of words)."""
    if not _PATTERN.fullmatch(pattern) or len(pattern) > 200:
        raise ValueError(f"{pattern[:300]!r} is no pattern of topics, such as identity.#")
    return pattern


Notified = Callable[[str, bytes], None]
Rung = Callable[[], None]


class Transport(Protocol):
    """How messages travel."""

    def call(
        self,
        address: str,
        method: str,
        payload: bytes,
        timeout_s: float,
        headers: Mapping[str, str],
    ) -> bytes:
        """Have a peer do something and wait for the encoded result."""

    def cast(self, address: str, method: str, payload: bytes, headers: Mapping[str, str]) -> None:
        """Have a peer do something; returns when the message is safely on its way."""

    def serve(self, address: str, peer: object, contract: Contract) -> None:
        """Answer calls; several that serve one address share its load."""

    def notify(self, topic: str, payload: bytes) -> None:
        """Tell all who subscribed; returns when the message is safely on its way."""

    def subscribe(self, topic: str, callback: Notified) -> None:
        """Hear of what is notified on a topic, or on a pattern of topics such as `identity.#`."""

    def ring(self, topic: str) -> None:
        """Say that there is work: may get lost, several may become one, never fails."""

    def answer_ring(self, topic: str, callback: Rung) -> None:
        """Be called when a doorbell rings."""

    def close(self) -> None:
        """Stop serving and let go of everything."""


class Bus:
    """What the rest of the house uses of a transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def remote(self, protocol: "TypeForm[T]", address: str, timeout_s: float = TIMEOUT_S) -> T:
        """An object with the methods of `protocol`, whose calls travel to `address`."""
        agreed = contract(protocol)
        checked_address(address)

        def method(each: Method) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                given = each.signature.bind(*args, **kwargs).arguments
                return self._call(each, address, given, timeout_s)

            return call

        bodies = {name: staticmethod(method(each)) for name, each in agreed.methods.items()}
        remote: T = type(f"Remote{agreed.name}", (), bodies)()
        return remote

    def call(
        self,
        protocol: object,
        address: str,
        method: str,
        arguments: Mapping[str, Any],
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        """One call, for those who know the method only by its name."""
        return self._call(
            contract(protocol).method(method), checked_address(address), arguments, timeout_s
        )

    def cast(
        self, protocol: object, address: str, method: str, arguments: Mapping[str, Any]
    ) -> None:
        """One call whose result and whose failure nobody waits for."""
        _check_not_holding(address, method)
        payload = _checked_size(contract(protocol).method(method).encode(arguments))
        with trace.span("bus", f"{checked_address(address)} {method} (cast)"):
            self.transport.cast(address, method, payload, new_headers())

    def serve(self, address: str, peer: object, protocol: object) -> None:
        """Let `peer` answer the calls that reach `address`."""
        self.transport.serve(checked_address(address), peer, contract(protocol))

    def notify(self, topic: str, payload: bytes) -> None:
        """Tell all who subscribed; returns when the message is safely on its way."""
        self.transport.notify(checked_topic(topic), _checked_size(payload))

    def subscribe(self, topic: str, callback: Notified) -> None:
        """Have `callback(topic, payload)` called, one message at a time and in their order."""
        self.transport.subscribe(checked_pattern(topic), callback)

    def ring(self, topic: str) -> None:
        """Say that there is work; several rings may be heard as one, and one may get lost."""
        self.transport.ring(checked_topic(topic))

    def answer_ring(self, topic: str, callback: Rung) -> None:
        """Have `callback()` called when the doorbell rings; it must be quick."""
        self.transport.answer_ring(checked_topic(topic), callback)

    def close(self) -> None:
        self.transport.close()

    def _call(
        self, method: Method, address: str, arguments: Mapping[str, Any], timeout_s: float
    ) -> Any:
        _check_not_holding(address, method.name)
        payload = _checked_size(method.encode(arguments))
        with trace.span("bus", f"{address} {method.name}"):
            answer = self.transport.call(address, method.name, payload, timeout_s, new_headers())
        try:
            return method.decode(answer)
        except ContractBroken as error:
            raise AgentError("ContractBroken", str(error)) from None


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
            return Answer(_checked_size(result))
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
        order = _order(headers)
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


class Local:
    """The embedded transport: peers and subscribers live in this process, on the caller's thread.

    A peer cannot be interrupted; a call that took longer than its timeout is answered like one
    whose answer came too late elsewhere, after the work was done.
    """

    def __init__(self) -> None:
        self._peers: dict[str, list[Peer]] = {}
        self._subscribers: list[tuple[Callable[[str], bool], Notified]] = []
        self._doorbells: dict[str, list[Rung]] = {}
        self._turn = 0

    def call(
        self,
        address: str,
        method: str,
        payload: bytes,
        timeout_s: float,
        headers: Mapping[str, str],
    ) -> bytes:
        began = clock.monotonic()
        result = self._deliver(address, method, payload, headers)
        if clock.monotonic() - began > timeout_s:
            raise AgentTimeout(f"{address} did not answer {method} within {timeout_s:g} s")
        return result.open()

    def cast(self, address: str, method: str, payload: bytes, headers: Mapping[str, str]) -> None:
        self._deliver(address, method, payload, headers)

    def serve(self, address: str, peer: object, contract: Contract) -> None:
        self._peers.setdefault(address, []).append(Peer(peer, contract))

    def notify(self, topic: str, payload: bytes) -> None:
        for matches, callback in list(self._subscribers):
            if matches(topic):
                heard(callback, topic, payload)

    def subscribe(self, topic: str, callback: Notified) -> None:
        self._subscribers.append((matcher(topic), callback))

    def ring(self, topic: str) -> None:
        for callback in self._doorbells.get(topic, ()):
            heard(callback)

    def answer_ring(self, topic: str, callback: Rung) -> None:
        self._doorbells.setdefault(topic, []).append(callback)

    def close(self) -> None:
        self._peers.clear()
        self._subscribers.clear()
        self._doorbells.clear()

    def _deliver(
        self, address: str, method: str, payload: bytes, headers: Mapping[str, str]
    ) -> Answer:
        peers = self._peers.get(address)
        if not peers:
            raise AgentUnreachable(f"{address} is not served by anyone")
        self._turn += 1
        peer = peers[self._turn % len(peers)]
        answer, is_new = peer.admit(headers[MESSAGE_ID])
        if is_new:
            peer.carry_out(method, payload, headers, answer)
        return answer.result()


def heard(callback: Callable[..., None], *arguments: object) -> None:
    """Tell one subscriber; its troubles are its own."""
    try:
        callback(*arguments)
    except Exception as error:
        log.exception("a subscriber failed", error)


def failure(type: str, text: str, is_refusal: bool = False) -> Answer:  # noqa: A002
    """The answer that carries an exception."""
    return Answer(msgspec.json.encode(Failure(type, text[:4000], is_refusal)), failed=True)


def new_headers() -> dict[str, str]:
    """What travels beside a call: its own id, that of the request that it serves, and the fence
    of the flow that makes it."""
    headers = {MESSAGE_ID: clock.new_id()}
    request_id = trace.current_id()
    if request_id is not None:
        headers[REQUEST_ID] = request_id
    order = fence.current.get()
    if order is not None:
        headers[FENCE] = f"{order.number} {order.subject}"
    return headers


def matcher(topic: str) -> Callable[[str], bool]:
    """A pattern of topics as the broker understands it: `*` is one word, `#` any number."""
    words = {"*": r"\.[^.]+", "#": r"(\.[^.]+)*"}
    pattern = "".join(words.get(word, rf"\.{re.escape(word)}") for word in topic.split("."))
    match = re.compile(pattern).fullmatch
    return lambda notified: match(f".{notified}") is not None


def _order(headers: Mapping[str, str]) -> fence.Fence | None:
    if FENCE not in headers:
        return None
    number, _, subject = headers[FENCE].partition(" ")
    return fence.Fence(subject, int(number))


def _check_not_holding(address: str, method: str) -> None:
    if holding.get():
        raise RuntimeError(
            f"{method} of {address} called by a step that holds the database; return Ask(...)"
        )


def _checked_size(payload: bytes) -> bytes:
    if len(payload) > MESSAGE_BYTES_MAX:
        raise MessageTooLarge(f"{len(payload)} bytes; a message has {MESSAGE_BYTES_MAX} at most")
    return payload
