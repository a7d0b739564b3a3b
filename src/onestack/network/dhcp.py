"""DHCP servers: which host answers on which network, and as which port."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from onestack.core import agents
from onestack.core.agents import AgentRecord
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports import add, remove
from onestack.network.ports.addresses import Allocator, Wish
from onestack.network.ports.record import DHCP, AddressRecord, PortRecord
from onestack.network.subnets.record import SubnetRecord, of_network
from onestack.network.wirings import change
from onestack.network.wirings.record import DhcpServerRecord


def ensure(session: Session, network_id: str, near: str = "") -> None:
    """Let a network that is in use have a DHCP server, if a subnet of it wants one.

    It is on the host of the first port, for then it is where it is needed; `near` says which.
    """
    if session.get(DhcpServerRecord, network_id) is not None:
        return
    subnets = _served(session, network_id)
    host = _chosen_host(session, near) if subnets else None
    if host is None:
        return
    network = session.get(NetworkRecord, network_id)
    assert network is not None
    wish = Wish("", "", DHCP, [(each.id, None) for each in subnets])
    port = add.plain(session, network, wish, owner=DHCP, device=f"dhcp-{network_id}", host=host)
    session.add(DhcpServerRecord(network_id=network_id, host=host, port_id=port.id))
    session.flush()
    _tell(session, network_id, [host])


def refresh(session: Session, network_id: str) -> None:
    """Let a network's DHCP server have an address on each subnet that wants it, and on no other."""
    server = session.get(DhcpServerRecord, network_id)
    if server is None:
        _ensure_if_used(session, network_id)
        return
    subnets = _served(session, network_id)
    port = session.get(PortRecord, server.port_id)
    assert port is not None
    if not subnets:
        session.delete(server)
        session.flush()
        remove.remove(session, [port])
        return
    rows = session.scalars(select(AddressRecord).where(AddressRecord.port_id == port.id))
    own = {each.subnet_id: each for each in rows}
    for subnet_id in own.keys() - {each.id for each in subnets}:
        session.delete(own[subnet_id])
    session.flush()
    missing = [each for each in subnets if each.id not in own]
    if missing:
        wish = Wish(port.id, port.mac_address, DHCP, [(each.id, None) for each in missing])
        allocator = Allocator(session, network_id, missing)
        allocator.give([wish])
        allocator.keep([wish])


def move(session: Session, server: DhcpServerRecord) -> bool:
    """Let another host take over a DHCP server; whether one could."""
    host = _chosen_host(session, "")
    if host is None or host == server.host:
        return False
    move_to(session, server, host)
    return True


def move_to(session: Session, server: DhcpServerRecord, host: str) -> None:
    """Let a host take over a DHCP server, with its port and addresses."""
    left, server.host = server.host, host
    port = session.get(PortRecord, server.port_id)
    assert port is not None
    port.host, port.status = host, "DOWN"
    session.flush()
    _tell(session, server.network_id, [left, host])


def gateways(session: Session) -> list[AgentRecord]:
    """The hosts that DHCP servers and routers may be placed on."""
    hosts = agents.alive(session, "switch")
    return [each for each in hosts if each.description.get("is_gateway", True)]


def _tell(session: Session, network_id: str, hosts: Sequence[str]) -> None:
    """Hosts hear that they have a DHCP server, or have it no more; with the network, or besides."""
    for host in hosts:
        change.touch_on(session, host, "network", network_id)
    change.ring(session, hosts)


def _chosen_host(session: Session, near: str) -> str | None:
    hosts = [each.host for each in gateways(session)]
    if near in hosts or not hosts:
        return near if near in hosts else None
    counted = select(DhcpServerRecord.host, func.count()).group_by(DhcpServerRecord.host)
    load = {row[0]: row[1] for row in session.execute(counted)}
    return min(hosts, key=lambda each: (load.get(each, 0), each))


def _ensure_if_used(session: Session, network_id: str) -> None:
    used = select(PortRecord.host).where(PortRecord.network_id == network_id, PortRecord.host != "")
    host = session.scalar(used.limit(1))
    if host:
        ensure(session, network_id, host)


def _served(session: Session, network_id: str) -> list[SubnetRecord]:
    return [each for each in of_network(session, network_id) if each.enable_dhcp]
