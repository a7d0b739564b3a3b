"""What servers need of the network service."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy.orm import Session

from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.wanted import WantedNic
from onestack.core.context import Context


class WantedPort(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A port that a server shall have: one that is there, or a new one on a network."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


class NicOfServer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A port of a server, as far as servers are concerned."""

    port_id: str
    device: str
    mac: str
    mtu: int
    network_id: str
    network_name: str
    fixed_ips: list[str] = []
    floating_ips: list[str] = []
    security_groups: list[str] = []
    is_active: bool = False


Nics = Mapping[str, Sequence[NicOfServer]]


def wanted(
    ctx: Context, asked: list[WantedNic] | str | None, groups: Sequence[str], count: int
) -> list[WantedPort] | str:
    """The ports that each of so many servers shall have, refused if they cannot."""
    return "none"


def add_ports(
    session: Session, server: ServerRecord, ports: list[WantedPort] | str, is_admin: bool
) -> None:
    """Give a server its ports, on the host that it is on; those that it has are moved there."""


def are_wired(session: Session, server: ServerRecord) -> bool:
    """Whether all of a server's ports are wired on its host."""
    return True


def unbind(session: Session, server: ServerRecord) -> None:
    """Take a server's ports off their host."""


def release(session: Session, server: ServerRecord) -> None:
    """Let go of a server's ports; those that were made for it go with it."""


def nics_of(session: Session, server_ids: Iterable[str]) -> Nics:
    """Servers' network cards, by the servers' ids."""
    return {}
