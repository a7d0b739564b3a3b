"""Hosts for the tests of the Linux switch: made for one test, and gone without a trace after it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from onestack.network.drivers.linux import LinuxOptions
from tests.network.linux.world import NUMBERS, Host, mark

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
