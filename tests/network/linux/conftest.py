"""Hosts for the tests of the Linux switch: made for one test, and gone without a trace after it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from onestack.network.drivers.linux import LinuxOptions
from tests.network.linux.asking import Asker
from tests.network.linux.world import NUMBERS, OPEN, Guest, Host, group, mark, network, port

MakeHost = Callable[..., Host]


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[MakeHost]:
    """Makes hosts; each is a network namespace with a switch of its own."""
    hosts: list[Host] = []

    def make(**more: Any) -> Host:
        name = f"host{next(NUMBERS)}"
        options = LinuxOptions(host=name, mark=mark(), **more)
        hosts.append(Host(name, tmp_path / name, options))
        return hosts[-1]

    yield make
    for host in reversed(hosts):
        host.close()


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    return make_host()


@pytest.fixture
def pair(host: Host) -> tuple[Guest, Guest]:
    """Two guests of a network whose groups let everything through."""
    one, everything = network(), group(*OPEN)
    host.apply(networks=[one], groups=[everything])
    made = [
        host.guest(
            port(one, address, f"fd00::{number}", groups=[everything.id])
        ).addressed_by_both()
        for number, address in ((5, "10.0.0.5"), (6, "10.0.0.6"))
    ]
    return made[0], made[1]


@pytest.fixture
def asker(make_host: MakeHost) -> Iterator[Asker]:
    made = Asker(make_host)
    with made.answering():
        yield made
