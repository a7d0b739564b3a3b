"""The bus, the same tests over both transports."""

import datetime as dt
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import msgspec
import pytest

from onestack.core import clock, trace
from onestack.core.bus import (
    AgentError,
    AgentTimeout,
    AgentUnreachable,
    Bus,
    BusError,
    Local,
    MessageTooLarge,
    agent_address,
)
from onestack.core.contract import contract
from onestack.core.errors import Conflict
from onestack.core.holding import holding
from onestack.core.message import MESSAGE_BYTES_MAX, MESSAGE_ID, new_headers
from onestack.core.peer import ANSWERS_KEPT
from tests.core.conftest import Connect
from tests.servers.waiting import soon


class Guest(msgspec.Struct):
    name: str
    memory_mb: int = 64
    started_at: dt.datetime | None = None


class Hypervisor(Protocol):
    def start(self, guest: Guest, paused: bool = False) -> Guest: ...
    def fail(self, text: str) -> None: ...
    def refuse(self, text: str) -> None: ...
    def wait(self, seconds: float) -> str: ...
    def repeat(self, text: str, times: int) -> str: ...


class Host:
    """A hypervisor that remembers what it was told."""

    def __init__(self, name: str = "host") -> None:
        self.name = name
        self.calls: list[str] = []
        self.called = threading.Event()
        self.may_go_on = threading.Event()

    def start(self, guest: Guest, paused: bool = False) -> Guest:
        self.calls.append(f"start {guest.name} {paused}")
        self.called.set()
        return Guest(guest.name, guest.memory_mb, dt.datetime(2026, 1, 2, 3, 4, 5))

    def fail(self, text: str) -> None:
        self.calls.append(f"fail {text}")
        raise FileNotFoundError(text)

    def refuse(self, text: str) -> None:
        raise Conflict(text)

    def wait(self, seconds: float) -> str:
        self.calls.append("wait")
        self.called.set()
        self.may_go_on.wait(seconds)
        return self.name

    def repeat(self, text: str, times: int) -> str:
        self.calls.append("repeat")
        return text * times


@pytest.fixture
def address() -> str:
    return agent_address(f"host-{clock.new_id()}", "hypervisor")


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.may_go_on.set()


@pytest.fixture
def remote(connect: Connect, address: str, host: Host) -> Hypervisor:
    """A hypervisor on the other side of the bus."""
    connect().serve(address, host, Hypervisor)
    return connect().remote(Hypervisor, address, timeout_s=60)


def test_a_call_and_its_answer(remote: Hypervisor, host: Host) -> None:
    answer = remote.start(Guest("a", memory_mb=128), paused=True)
    assert answer == Guest("a", 128, dt.datetime(2026, 1, 2, 3, 4, 5))
    assert remote.start(guest=Guest("b")).memory_mb == 64
    assert host.calls == ["start a True", "start b False"]


def test_what_travels_is_a_copy(remote: Hypervisor, host: Host) -> None:
    guest = Guest("a")
    assert remote.start(guest) is not guest
    assert guest.started_at is None


def test_a_call_by_name(connect: Connect, address: str, host: Host) -> None:
    connect().serve(address, host, Hypervisor)
    answer = connect().call(Hypervisor, address, "repeat", {"text": "ab", "times": 3})
    assert answer == "ababab"


def test_the_peers_exception_travels(remote: Hypervisor, host: Host) -> None:
    with pytest.raises(AgentError) as raised:
        remote.fail("no disk")
    assert (raised.value.type, raised.value.text) == ("FileNotFoundError", "no disk")
    assert not raised.value.is_refusal
    assert remote.repeat("a", 1) == "a"


def test_a_refusal_is_told_from_a_failure(remote: Hypervisor, host: Host) -> None:
    with pytest.raises(AgentError) as raised:
        remote.refuse("full")
    assert (raised.value.type, raised.value.is_refusal) == ("Conflict", True)


def test_arguments_that_do_not_fit_are_not_sent(remote: Hypervisor, host: Host) -> None:
    with pytest.raises(TypeError):
        remote.repeat("a", 1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        remote.repeat(text="a")  # type: ignore[call-arg]
    assert host.calls == []


def test_arguments_of_a_wrong_type_do_not_reach_the_peer(remote: Hypervisor, host: Host) -> None:
    with pytest.raises(AgentError, match="ContractBroken"):
        remote.repeat("a", "three")  # type: ignore[arg-type]
    assert host.calls == []


def test_a_result_of_a_wrong_type_does_not_reach_the_caller(connect: Connect, address: str) -> None:
    class Confused(Host):
        def repeat(self, text: str, times: int) -> str:
            return [text]  # type: ignore[return-value]

    connect().serve(address, Confused(), Hypervisor)
    with pytest.raises(AgentError, match="ContractBroken"):
        connect().remote(Hypervisor, address).repeat("a", 1)


def test_a_method_outside_the_contract_is_not_run(connect: Connect, address: str) -> None:
    class Secretive(Host):
        def secret(self) -> str:
            self.calls.append("secret")
            return "secret"

    host = Secretive()
    connect().serve(address, host, Hypervisor)
    transport = connect().transport
    for method in ("secret", "__init__", "calls"):
        with pytest.raises(AgentError, match="ContractBroken"):
            transport.call(address, method, b"{}", 10, new_headers())
    assert host.calls == []


def test_no_answer_in_time(connect: Connect, address: str, host: Host) -> None:
    connect().serve(address, host, Hypervisor)
    remote = connect().remote(Hypervisor, address, timeout_s=0.3)
    with pytest.raises(AgentTimeout, match=r"did not answer wait within 0\.3 s"):
        remote.wait(0.6)
    assert host.calls == ["wait"]


def test_nobody_there(connect: Connect, address: str) -> None:
    began = time.monotonic()
    with pytest.raises(AgentUnreachable):
        connect().remote(Hypervisor, address, timeout_s=60).repeat("a", 1)
    with pytest.raises(AgentUnreachable):
        connect().cast(Hypervisor, address, "repeat", {"text": "a", "times": 1})
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    "address", ["hypervisor", "agent.x", "agent..x", "amq.gen-x.y", "agent.a b.c", "agent.a.c\n"]
)
def test_what_is_no_address(address: str) -> None:
    bus = Bus(Local())
    with pytest.raises(ValueError, match=r"agent\.HOST\.KIND"):
        bus.serve(address, Host(), Hypervisor)
    with pytest.raises(ValueError, match=r"agent\.HOST\.KIND"):
        bus.call(Hypervisor, address, "repeat", {"text": "a", "times": 1})


def test_a_doubled_message_runs_once(connect: Connect, address: str, host: Host) -> None:
    connect().serve(address, host, Hypervisor)
    repeat = contract(Hypervisor).method("repeat").encode({"text": "a", "times": 2})
    fail = contract(Hypervisor).method("fail").encode({"text": "b"})
    transport = connect().transport
    headers = {MESSAGE_ID: clock.new_id()}
    assert transport.call(address, "repeat", repeat, 10, headers) == b'"aa"'
    assert transport.call(address, "repeat", repeat, 10, headers) == b'"aa"'
    headers = {MESSAGE_ID: clock.new_id()}
    for _ in range(2):
        with pytest.raises(AgentError, match="FileNotFoundError"):
            transport.call(address, "fail", fail, 10, headers)
    assert host.calls == ["repeat", "fail b"]


def test_a_message_doubled_while_it_runs(connect: Connect, address: str, host: Host) -> None:
    connect().serve(address, host, Hypervisor)
    payload = contract(Hypervisor).method("wait").encode({"seconds": 10.0})
    headers = {MESSAGE_ID: clock.new_id()}
    callers = [connect(), connect()]
    with ThreadPoolExecutor(2) as threads:
        answers = [
            threads.submit(each.transport.call, address, "wait", payload, 20, headers)
            for each in callers
        ]
        assert host.called.wait(60)
        time.sleep(0.2)
        host.may_go_on.set()
        assert [answer.result(60) for answer in answers] == [b'"host"', b'"host"']
    assert host.calls == ["wait"]


def test_two_peers_share_an_address(connect: Connect, address: str) -> None:
    hosts = [Host("one"), Host("two")]
    for each in hosts:
        connect().serve(address, each, Hypervisor)
    remote = connect().remote(Hypervisor, address, timeout_s=60)
    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(remote.wait, [0.1] * 16))
    assert set(names) == {"one", "two"}
    assert sum(len(each.calls) for each in hosts) == 16


def test_a_slow_call_does_not_hold_up_others(connect: Connect, address: str, host: Host) -> None:
    connect().serve(address, host, Hypervisor)
    remote = connect().remote(Hypervisor, address, timeout_s=60)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(remote.wait, 20)
        assert host.called.wait(60)
        assert remote.repeat("a", 2) == "aa"
        assert not slow.done()
        host.may_go_on.set()
        assert slow.result(60) == "host"


def test_a_cast_is_done_and_its_failure_is_nobodys(
    connect: Connect, address: str, host: Host
) -> None:
    connect().serve(address, host, Hypervisor)
    bus = connect()
    bus.cast(Hypervisor, address, "fail", {"text": "quietly"})
    bus.cast(Hypervisor, address, "start", {"guest": Guest("a")})
    assert host.called.wait(60)
    assert soon(lambda: sorted(host.calls) == ["fail quietly", "start a False"])


def test_notifications_reach_those_who_subscribed(connect: Connect) -> None:
    word = f"t{clock.new_id()}"
    heard: list[tuple[str, str, bytes]] = []

    def listener(name: str) -> Callable[[str, bytes], None]:
        return lambda topic, payload: heard.append((name, topic, payload))

    connect().subscribe(f"{word}.#", listener("all"))
    connect().subscribe(f"{word}.*.created", listener("created"))
    connect().subscribe(f"{word}.user.created", listener("exact"))
    sender = connect()
    sender.notify(f"{word}.user.created", b"1")
    sender.notify(f"{word}.user.name.created", b"2")
    sender.notify(f"{word}", b"3")
    assert soon(lambda: len(heard) >= 5)
    assert sorted(heard) == [
        ("all", word, b"3"),
        ("all", f"{word}.user.created", b"1"),
        ("all", f"{word}.user.name.created", b"2"),
        ("created", f"{word}.user.created", b"1"),
        ("exact", f"{word}.user.created", b"1"),
    ]


def test_notifications_keep_their_order(connect: Connect) -> None:
    topic = f"t{clock.new_id()}.order"
    heard: list[bytes] = []
    connect().subscribe(topic, lambda _topic, payload: heard.append(payload))
    sender = connect()
    sent = [str(n).encode() for n in range(50)]
    for payload in sent:
        sender.notify(topic, payload)
    assert soon(lambda: len(heard) >= 50)
    assert heard == sent


def test_a_subscriber_that_fails_hears_the_next_one(connect: Connect) -> None:
    topic = f"t{clock.new_id()}.failing"
    heard: list[bytes] = []

    def stumble(_topic: str, payload: bytes) -> None:
        heard.append(payload)
        raise ValueError("not today")

    connect().subscribe(topic, stumble)
    sender = connect()
    sender.notify(topic, b"1")
    sender.notify(topic, b"2")
    assert soon(lambda: heard == [b"1", b"2"])


@pytest.mark.parametrize("topic", ["", "a..b", "a b", "a.#", "ä", "a" * 300])
def test_what_is_no_topic(topic: str) -> None:
    bus = Bus(Local())
    for send in (lambda: bus.notify(topic, b""), lambda: bus.ring(topic)):
        with pytest.raises(ValueError, match="topic"):
            send()


def test_doorbells(connect: Connect) -> None:
    topic = f"t{clock.new_id()}.work"
    rung = threading.Event()
    connect().answer_ring(topic, rung.set)
    other = connect()
    for _ in range(3):
        # A new listener looks once for what it may have missed; then only rings wake it.
        time.sleep(0.2)
        rung.clear()
        other.ring(topic)
        assert rung.wait(60)


def test_a_storm_of_rings_is_heard_at_its_end(connect: Connect) -> None:
    topic = f"t{clock.new_id()}.storm"
    work: list[int] = []
    seen: list[int] = []
    connect().answer_ring(topic, lambda: seen.append(len(work)))
    other = connect()
    for number in range(300):
        work.append(number)
        other.ring(topic)
    assert soon(lambda: seen and seen[-1] == 300)


def test_a_call_is_a_span_and_the_peers_work_belongs_to_the_request(
    connect: Connect, address: str, host: Host
) -> None:
    connect().serve(address, host, Hypervisor)
    request_id = f"req-{clock.new_id()}"
    remote = connect().remote(Hypervisor, address)
    with trace.recording(request_id):
        remote.repeat("a", 1)
    spans = [(s.kind, s.name) for t in trace.find(request_id) for s in t.spans]
    assert ("bus", f"{address} repeat") in spans
    assert ("driver", "Hypervisor.repeat") in spans
    with trace.recording("req-other"), pytest.raises(AgentError):
        remote.fail("a")
    errors = {s.kind: s.error for t in trace.find("req-other") for s in t.spans}
    assert errors == {"bus": "AgentError", "driver": "FileNotFoundError"}


def test_who_holds_the_database_may_not_wait(connect: Connect, address: str, host: Host) -> None:
    connect().serve(address, host, Hypervisor)
    bus = connect()
    remote = bus.remote(Hypervisor, address)
    token = holding.set(True)
    try:
        with pytest.raises(RuntimeError, match="holds the database"):
            remote.repeat("a", 1)
        with pytest.raises(RuntimeError, match="holds the database"):
            bus.cast(Hypervisor, address, "repeat", {"text": "a", "times": 1})
    finally:
        holding.reset(token)
    assert host.calls == []
    assert remote.repeat("a", 1) == "a"


def test_messages_have_a_largest_size(connect: Connect, remote: Hypervisor, host: Host) -> None:
    most = MESSAGE_BYTES_MAX
    with pytest.raises(MessageTooLarge):
        remote.repeat("a" * most, 1)
    with pytest.raises(MessageTooLarge):
        connect().notify("topic", b"a" * (most + 1))
    assert host.calls == []
    with pytest.raises(AgentError, match="MessageTooLarge"):
        remote.repeat("a", most)
    assert len(remote.repeat("a", most - 100)) == most - 100


def test_answers_are_not_kept_for_ever(address: str, host: Host) -> None:
    bus = Bus(Local())
    bus.serve(address, host, Hypervisor)
    remote = bus.remote(Hypervisor, address)
    for _ in range(ANSWERS_KEPT + 10):
        remote.repeat("a", 1)
    (peer,) = bus.transport._peers[address]  # type: ignore[attr-defined]
    assert len(peer._answers) == ANSWERS_KEPT
    for _ in range(12):
        remote.repeat("a", 1024 * 1024)
    assert len(peer._answers) <= 8


def test_an_embedded_call_keeps_time_by_the_simulated_clock(address: str) -> None:
    class Sleepy(Host):
        def wait(self, seconds: float) -> str:
            clock.sleep(seconds)
            return "late"

    bus = Bus(Local())
    bus.serve(address, Sleepy(), Hypervisor)
    remote = bus.remote(Hypervisor, address, timeout_s=60)
    with clock.use(clock.Simulated(1)):
        assert remote.wait(59) == "late"
        with pytest.raises(AgentTimeout):
            remote.wait(61)


def test_closed(connect: Connect, address: str, host: Host) -> None:
    bus = connect()
    bus.serve(address, host, Hypervisor)
    remote = bus.remote(Hypervisor, address)
    bus.close()
    bus.close()
    with pytest.raises(BusError):
        remote.repeat("a", 1)


def test_the_embedded_bus_does_not_load_the_brokers_library() -> None:
    program = "import sys, onestack.core.bus; print('aio_pika' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )  # fmt: skip
    assert run.stdout.strip() == "False"
