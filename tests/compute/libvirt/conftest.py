"""Two hosts with real hypervisors, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from onestack.cli import engines, guest
from tests.compute.libvirt.guests import Person
from tests.compute.libvirt.hosts import Host, join


@pytest.fixture(scope="session")
def installed() -> None:
    """The programs of the host that are tested here."""
    assert engines.install() == []


@pytest.fixture(scope="session")
def tiny(installed: None) -> guest.GuestImage:
    """The tiny guest, as `make up` builds it."""
    return guest.build()


@pytest.fixture(scope="session")
def pair(installed: None) -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other."""
    one, other = Host("one", "10.213.0.1"), Host("two", "10.213.0.2")
    try:
        join(one, other)
        yield one, other
    finally:
        one.remove()
        other.remove()


@pytest.fixture(scope="session")
def host(pair: tuple[Host, Host]) -> Host:
    return pair[0]


@pytest.fixture(scope="session")
def person() -> Iterator[Person]:
    one = Person()
    yield one
    one.forget()
