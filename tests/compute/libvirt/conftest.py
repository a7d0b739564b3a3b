"""Two hosts with real hypervisors, for all tests of this folder."""

from collections.abc import Iterator

import pytest

from onestack.cli import guest
from tests.compute.libvirt.guests import Person
from tests.compute.libvirt.hosts import Host, join


@pytest.fixture(scope="session")
def tiny() -> guest.GuestImage:
    """The tiny guest, as `make up` builds it."""
    return guest.build(guest.CACHE)


@pytest.fixture(scope="session")
def pair() -> Iterator[tuple[Host, Host]]:
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
