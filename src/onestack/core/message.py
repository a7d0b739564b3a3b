"""What travels on the bus: payloads with headers, answers and failures, addresses and topics."""

import re
from collections.abc import Callable, Mapping

import msgspec

from onestack.core import clock, fence, trace

MESSAGE_BYTES_MAX = 4 * 1024 * 1024

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


class Answer(msgspec.Struct, frozen=True):
    """What a peer sends back: an encoded result, or an encoded `Failure`."""

    payload: bytes
    failed: bool = False

    def open(self) -> bytes:
        """The encoded result; a failure is raised as `AgentError`."""
        if self.failed:
            failure = msgspec.json.decode(self.payload, type=Failure)
            raise AgentError(failure.type, failure.text, failure.is_refusal)
        return self.payload


def failure(type: str, text: str, is_refusal: bool = False) -> Answer:  # noqa: A002
    """The answer that carries an exception."""
    return Answer(msgspec.json.encode(Failure(type, text[:4000], is_refusal)), failed=True)


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


def fence_of(headers: Mapping[str, str]) -> fence.Fence | None:
    """The fence that a message carries."""
    if FENCE not in headers:
        return None
    number, _, subject = headers[FENCE].partition(" ")
    return fence.Fence(subject, int(number))


def matcher(topic: str) -> Callable[[str], bool]:
    """A pattern of topics as the broker understands it: `*` is one word, `#` any number."""
    words = {"*": r"\.[^.]+", "#": r"(\.[^.]+)*"}
    pattern = "".join(words.get(word, rf"\.{re.escape(word)}") for word in topic.split("."))
    match = re.compile(pattern).fullmatch
    return lambda notified: match(f".{notified}") is not None


def checked_size(payload: bytes) -> bytes:
    """The payload, when a message may be that large."""
    if len(payload) > MESSAGE_BYTES_MAX:
        raise MessageTooLarge(f"{len(payload)} bytes; a message has {MESSAGE_BYTES_MAX} at most")
    return payload
