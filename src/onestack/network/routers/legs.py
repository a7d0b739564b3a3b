"""The ports by which routers and floating IPs are on networks."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.network import ipam
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.add import NewPort, many
from onestack.network.ports.addresses import Allocator, Wish
from onestack.network.ports.record import (
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    AddressRecord,
    PortRecord,
)
from onestack.network.routers.attributes import BadRouterRequest
from onestack.network.subnets.record import SubnetRecord

Fixed = Sequence[tuple[str | None, str | None]]  # (subnet, address)


def add(
    session: Session,
    network: NetworkRecord,
    owner: str,
    device_id: str,
    fixed: Fixed | None = None,
    project_id: str = "",
) -> PortRecord:
    """A new port that a router or a floating IP has on a network: nothing guards it."""
    attributes = {
        "device_owner": owner, "device_id": device_id, "port_security_enabled": False
    }  # fmt: skip
    new = NewPort(project_id, "", fixed, (), attributes)
    return many(session, network, [new])[0]


def give(
    session: Session, record: PortRecord, fixed: Fixed | None, subnets: Sequence[SubnetRecord]
) -> list[tuple[str, str]]:
    """Give a port addresses of some subnets: the (subnet, address) pairs that it got."""
    wish = Wish(record.id, record.mac_address, record.device_owner, fixed)
    allocator = Allocator(session, record.network_id, subnets)
    allocator.give([wish])
    allocator.keep([wish])
    return wish.given


def refuse_overlap(
    session: Session, router_id: str, subnets: Sequence[SubnetRecord], but: str = ""
) -> None:
    """A router is on a subnet once, and on none that overlaps another one.

    `but` is the port that is about to be replaced.
    """
    present = (
        select(SubnetRecord.id, SubnetRecord.cidr)
        .join(AddressRecord, AddressRecord.subnet_id == SubnetRecord.id)
        .join(PortRecord, PortRecord.id == AddressRecord.port_id)
        .where(
            PortRecord.device_id == router_id,
            PortRecord.device_owner.in_((ROUTER_INTERFACE, ROUTER_GATEWAY)),
            PortRecord.id != but,
        )
    )
    for row in session.execute(present):
        for each in subnets:
            if row.id == each.id:
                raise BadRouterRequest(reason=f"Router already has a port on subnet {each.id}")
            if ipam.overlap(row.cidr, each.cidr):
                raise BadRouterRequest(
                    reason=f"Cidr {each.cidr} of subnet {each.id} overlaps with cidr {row.cidr} "
                    f"of subnet {row.id}"
                )
