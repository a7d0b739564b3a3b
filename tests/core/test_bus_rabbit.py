"""What only a broker can do to a bus: die, come back, be slow, be full, or be someone else."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from onestack.core import clock, log
from onestack.core.bus import AgentBusy, AgentTimeout, Bus, agent_address
from onestack.core.bus_rabbit import Rabbit
from tests.core.test_bus import Host, Hypervisor
from tests.servers.certificates import certificate_for
from tests.servers.process import free_ports
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.waiting import soon

Connect = Callable[..., Bus]


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    """A broker that these tests may kill."""
    with RabbitMQ(certificate_for("localhost")) as broker:
        yield broker


@pytest.fixture
def connect(broker: RabbitMQ) -> Iterator[Connect]:
    with ExitStack() as opened:

        def make(url: str = broker.url, **options: int) -> Bus:
            bus = Bus(Rabbit(url, **options))
            opened.callback(bus.close)
            return bus

        yield make


@pytest.fixture
def address() -> str:
    return agent_address(f"host-{clock.new_id()}", "hypervisor")


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.may_go_on.set()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the log says."""
    stream = io.StringIO()
    before = log._stream
    log._stream = stream
    yield stream
    log._stream = before


def test_the_broker_dies_and_comes_back(
    broker: RabbitMQ, connect: Connect, address: str, host: Host
) -> None:
    rung = threading.Event()
    heard: list[bytes] = []
    agent, caller = connect(), connect()
    agent.serve(address, host, Hypervisor)
    agent.answer_ring("work", rung.set)
    agent.subscribe("news.#", lambda _topic, payload: heard.append(payload))
    remote = caller.remote(Hypervisor, address, timeout_s=60)
    assert remote.repeat("a", 1) == "a"
    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(remote.wait, 50)
        assert host.called.wait(60)
        # RabbitMQ 3.10 forgets the directory of a quorum queue that is younger than this.
        time.sleep(4)
        rung.clear()
        broker.kill()
        waiting = threads.submit(remote.repeat, "b", 2)
        host.may_go_on.set()
        time.sleep(0.5)
        assert not running.done()
        broker.start()
        assert running.result(60) == "host"
        assert waiting.result(60) == "bb"
    # Every message ran once, although both were sent twice.
    assert sorted(host.calls) == ["repeat", "repeat", "wait"]
    # What may have rung meanwhile was looked for, and new rings and news arrive.
    assert rung.wait(60)
    rung.clear()
    caller.ring("work")
    assert rung.wait(60)
    caller.notify("news.today", b"1")
    assert soon(lambda: heard == [b"1"])


def test_a_broker_that_lost_its_memory(
    broker: RabbitMQ, connect: Connect, address: str, host: Host
) -> None:
    connect().serve(address, host, Hypervisor)
    remote = connect().remote(Hypervisor, address, timeout_s=60)
    assert remote.repeat("a", 1) == "a"
    broker.stop()
    broker.forget()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(remote.repeat, "b", 2)
        broker.start()
        assert waiting.result(60) == "bb"


def test_a_cast_waits_in_the_queue_of_a_peer_that_is_away(
    connect: Connect, address: str, host: Host
) -> None:
    agent = connect()
    agent.serve(address, host, Hypervisor)
    agent.close()
    caller = connect()
    caller.cast(Hypervisor, address, "repeat", {"text": "a", "times": 1})
    assert host.calls == []
    connect().serve(address, host, Hypervisor)
    assert soon(lambda: host.calls == ["repeat"])


def test_a_call_that_nobody_waits_for_any_more_is_not_carried_out(
    connect: Connect, address: str, host: Host
) -> None:
    agent = connect()
    agent.serve(address, host, Hypervisor)
    agent.close()
    caller = connect()
    with pytest.raises(AgentTimeout):
        caller.remote(Hypervisor, address, timeout_s=0.3).wait(0)
    connect().serve(address, host, Hypervisor)
    assert caller.remote(Hypervisor, address, timeout_s=60).repeat("a", 1) == "a"
    assert host.calls == ["repeat"]


def test_work_of_a_peer_that_dies_goes_to_another(
    broker: RabbitMQ, connect: Connect, address: str, host: Host
) -> None:
    first = connect()
    first.serve(address, host, Hypervisor)
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(connect().remote(Hypervisor, address, timeout_s=60).wait, 30)
        assert host.called.wait(60)
        second = Host("second")
        second.may_go_on.set()
        connect().serve(address, second, Hypervisor)
        closing = threading.Thread(target=first.close)
        closing.start()
        assert answer.result(60) == "second"
        host.may_go_on.set()
        closing.join()


def test_a_full_queue_refuses(connect: Connect, address: str, host: Host) -> None:
    connect(threads_per_address=1, queue_max=20).serve(address, host, Hypervisor)
    caller = connect()
    caller.cast(Hypervisor, address, "wait", {"seconds": 60.0})
    assert host.called.wait(60)
    sent: list[int] = []

    def send_many() -> None:
        for number in range(500):
            caller.cast(Hypervisor, address, "repeat", {"text": "a", "times": 1})
            sent.append(number)

    with pytest.raises(AgentBusy):
        send_many()
    assert len(sent) >= 20
    host.may_go_on.set()
    # Nothing that was taken over is lost.
    assert soon(lambda: len(host.calls) == len(sent) + 1)


def test_a_broker_that_comes_later(address: str, host: Host, lines: io.StringIO) -> None:
    broker = RabbitMQ()
    bus = Bus(Rabbit(broker.url))
    try:
        bus.serve(address, host, Hypervisor)
        began = time.monotonic()
        with pytest.raises(AgentTimeout, match="the broker cannot be reached"):
            bus.remote(Hypervisor, address, timeout_s=0.5).repeat("a", 1)
        assert time.monotonic() - began < 30
        bus.ring("work")
        with broker:
            assert bus.remote(Hypervisor, address, timeout_s=60).repeat("a", 1) == "a"
            bus.close()
    finally:
        bus.close()
    assert host.calls == ["repeat"]
    assert "not connected" in lines.getvalue()
    assert "guest" not in lines.getvalue()


def test_tls_with_the_right_name(
    broker: RabbitMQ, connect: Connect, address: str, host: Host
) -> None:
    connect(broker.tls_url()).serve(address, host, Hypervisor)
    assert connect(broker.tls_url()).remote(Hypervisor, address).repeat("a", 1) == "a"


@pytest.mark.parametrize("how", ["wrong host", "unknown authority"])
def test_a_broker_that_is_someone_else(
    broker: RabbitMQ, connect: Connect, address: str, how: str
) -> None:
    # The certificate is for localhost.
    url = broker.tls_url("127.0.0.1" if how == "wrong host" else "localhost")
    if how == "unknown authority":
        url = url.partition("?")[0]
    bus = connect(url)
    with pytest.raises(AgentTimeout, match="CERTIFICATE_VERIFY_FAILED"):
        bus.remote(Hypervisor, address, timeout_s=1.5).repeat("a", 1)


@pytest.mark.parametrize(
    "url", ["", "http://localhost", "amqp://", "amqps://localhost/?no_verify_ssl=1", "localhost"]
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"amqp|verif"):
        Rabbit(url)


def test_a_wrong_password_is_named_and_kept_out_of_the_log(
    broker: RabbitMQ, connect: Connect, address: str, lines: io.StringIO
) -> None:
    bus = connect(broker.url.replace("guest:guest", "guest:tell-nobody"))
    with pytest.raises(AgentTimeout, match=r"(?i)auth|refused|403"):
        bus.remote(Hypervisor, address, timeout_s=1.5).repeat("a", 1)
    assert soon(lambda: "not connected" in lines.getvalue())
    assert "tell-nobody" not in lines.getvalue()


def test_a_server_that_says_nothing_does_not_hold_up_a_caller(address: str) -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)):
        bus = Bus(Rabbit(f"amqp://127.0.0.1:{port}/"))
        began = time.monotonic()
        with pytest.raises(AgentTimeout):
            bus.remote(Hypervisor, address, timeout_s=0.3).repeat("a", 1)
        bus.close()
        assert time.monotonic() - began < 30


def test_closing_leaves_no_thread(connect: Connect, address: str, host: Host) -> None:
    before = set(threading.enumerate())
    bus = connect()
    bus.serve(address, host, Hypervisor)
    bus.subscribe("news.#", lambda _topic, _payload: None)
    bus.answer_ring("work", lambda: None)
    bus.remote(Hypervisor, address).repeat("a", 1)
    bus.close()
    assert soon(lambda: set(threading.enumerate()) <= before)
