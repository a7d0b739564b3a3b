"""Fences travel with calls, the same tests over both transports: who comes too late is refused."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import pytest

from onestack.core import clock, fence
from onestack.core.bus import AgentError, agent_address
from onestack.core.contract import contract
from onestack.core.fence import Fence
from onestack.core.message import FENCE, new_headers
from tests.core.conftest import Connect


class Hypervisor(Protocol):
    def create(self, name: str) -> None: ...
    def destroy(self, name: str) -> None: ...
    def count(self) -> int: ...


class Host:
    """Keeps guests, and knows for which order it did something last."""

    def __init__(self) -> None:
        self.guests: set[str] = set()
        self.order: Fence | None = None
        self.working = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def create(self, name: str) -> None:
        self.order = fence.current.get()
        self.working.set()
        self.may_go_on.wait(60)
        self.guests.add(name)

    def destroy(self, name: str) -> None:
        self.guests.discard(name)

    def count(self) -> int:
        return len(self.guests)


@contextlib.contextmanager
def ordered(subject: str, number: int) -> Iterator[None]:
    """What is called within the block is called by a flow whose lease has this number."""
    token = fence.current.set(Fence(subject, number))
    try:
        yield
    finally:
        fence.current.reset(token)


@pytest.fixture
def address() -> str:
    return agent_address(f"host-{clock.new_id()}", "hypervisor")


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def remote(connect: Connect, address: str, host: Host) -> Hypervisor:
    connect().serve(address, host, Hypervisor)
    return connect().remote(Hypervisor, address, timeout_s=60)


def test_a_late_create_does_not_bring_back_what_was_destroyed(
    remote: Hypervisor, host: Host
) -> None:
    with ordered("servers a b", 7):
        remote.create("a")
    with ordered("servers a b", 9):
        remote.destroy("a")
    with ordered("servers a b", 8), pytest.raises(AgentError) as refused:
        remote.create("a")
    assert (refused.value.type, remote.count()) == ("Superseded", 0)
    assert "servers a b" in refused.value.text


def test_a_repeated_order_and_those_of_others_are_let_in(remote: Hypervisor, host: Host) -> None:
    for subject, number in (("servers/a", 9), ("servers/a", 9), ("servers/b", 3)):
        with ordered(subject, number):
            remote.create(subject)
        assert host.order == Fence(subject, number)
    remote.create("of nobody's flow")
    assert (host.order, remote.count()) == (None, 3)


def test_a_late_cast_is_dropped(connect: Connect, address: str, host: Host) -> None:
    connect().serve(address, host, Hypervisor)
    caller = connect()
    with ordered("servers/a", 2):
        caller.call(Hypervisor, address, "destroy", {"name": "a"})
    with ordered("servers/a", 1):
        caller.cast(Hypervisor, address, "create", {"name": "a"})
    with ordered("servers/a", 2):
        caller.call(Hypervisor, address, "create", {"name": "b"})
    assert host.guests == {"b"}


def test_a_destroy_waits_for_the_create_that_it_overtakes(
    connect: Connect, address: str, host: Host
) -> None:
    connect().serve(address, host, Hypervisor)
    remote = connect().remote(Hypervisor, address, timeout_s=60)
    host.may_go_on.clear()

    def call(number: int, method: Callable[[str], None]) -> None:
        with ordered("servers/a", number):
            method("a")

    with ThreadPoolExecutor(2) as threads:
        creating = threads.submit(call, 1, remote.create)
        assert host.working.wait(60)
        destroying = threads.submit(call, 2, remote.destroy)
        assert remote.count() == 0
        assert not destroying.done()
        host.may_go_on.set()
        creating.result(60)
        destroying.result(60)
    assert remote.count() == 0


def test_a_fence_that_cannot_be_read_lets_nobody_in(
    connect: Connect, address: str, host: Host
) -> None:
    connect().serve(address, host, Hypervisor)
    payload = contract(Hypervisor).method("create").encode({"name": "a"})
    with pytest.raises(AgentError, match="ValueError"):
        connect().transport.call(
            address, "create", payload, 10, {**new_headers(), FENCE: "soon servers/a"}
        )
    assert host.guests == set()
