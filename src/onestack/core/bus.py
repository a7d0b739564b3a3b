"""The bus: a driver's Protocol is the contract, and calls to a peer are derived from it.

What travels is at least once: a call may reach its peer twice, so every method of a contract is
idempotent; a peer answers a message that it has seen already with the answer that it kept.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from onestack.core import clock, log, trace
from onestack.core.contract import Contract, ContractBroken, Method, contract
from onestack.core.holding import holding
from onestack.core.message import (
    MESSAGE_ID,
    AgentBusy,
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    Answer,
    BusError,
    MessageTooLarge,
    agent_address,
    checked_address,
    checked_pattern,
    checked_size,
    checked_topic,
    matcher,
    new_headers,
)
from onestack.core.peer import Peer

if TYPE_CHECKING:
    from typing_extensions import TypeForm

__all__ = [
    "AgentBusy", "AgentError", "AgentTimeout", "AgentUnreachable", "Bus", "BusError", "Local",
    "MessageTooLarge", "Transport", "agent_address",
]  # fmt: skip

T = TypeVar("T")

TIMEOUT_S = 60.0

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
        payload = checked_size(contract(protocol).method(method).encode(arguments))
        with trace.span("bus", f"{checked_address(address)} {method} (cast)"):
            self.transport.cast(address, method, payload, new_headers())

    def serve(self, address: str, peer: object, protocol: object) -> None:
        """Let `peer` answer the calls that reach `address`."""
        self.transport.serve(checked_address(address), peer, contract(protocol))

    def notify(self, topic: str, payload: bytes) -> None:
        """Tell all who subscribed; returns when the message is safely on its way."""
        self.transport.notify(checked_topic(topic), checked_size(payload))

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
        payload = checked_size(method.encode(arguments))
        with trace.span("bus", f"{address} {method.name}"):
            answer = self.transport.call(address, method.name, payload, timeout_s, new_headers())
        try:
            return method.decode(answer)
        except ContractBroken as error:
            raise AgentError("ContractBroken", str(error)) from None


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


def _check_not_holding(address: str, method: str) -> None:
    if holding.get():
        raise RuntimeError(
            f"{method} of {address} called by a step that holds the database; return Ask(...)"
        )
