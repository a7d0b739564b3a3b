"""A port's rows: itself, and the addresses that it has."""

from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record, by_key
from onestack.core.errors import NotFound
from onestack.network.standard import TOPIC, Standard

DHCP = "network:dhcp"
ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"


class PortRecord(Standard, Record):
    """A port. It is bound to a host when `host` says so, and ACTIVE when it is wired there."""

    __tablename__ = "ports"
    __table_args__ = (
        UniqueConstraint("network_id", "mac_address"),
        Index("ix_ports_device_id_device_owner", "device_id", "device_owner"),
    )

    network_id: Mapped[str] = mapped_column(ForeignKey("networks.id"))
    mac_address: Mapped[str]
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(default="DOWN")
    device_id: Mapped[str] = mapped_column(default="")
    device_owner: Mapped[str] = mapped_column(default="")
    is_made_for_device: Mapped[bool] = mapped_column(default=False)  # and goes with it
    host: Mapped[str] = mapped_column(default="", index=True)
    next_host: Mapped[str] = mapped_column(default="", index=True)  # where it is about to move
    vnic_type: Mapped[str] = mapped_column(default="normal")
    binding_profile: Mapped[dict[str, Any]] = mapped_column(default=dict)
    port_security_enabled: Mapped[bool] = mapped_column(default=True)
    allowed_address_pairs: Mapped[list[Any]] = mapped_column(default=list)
    extra_dhcp_opts: Mapped[list[Any]] = mapped_column(default=list)
    dns_name: Mapped[str] = mapped_column(default="")
    propagate_uplink_status: Mapped[bool] = mapped_column(default=True)


class AddressRecord(Record):
    """An address that a port has; within a subnet nobody else has it."""

    __tablename__ = "port_addresses"
    topic = TOPIC

    subnet_id: Mapped[str] = mapped_column(ForeignKey("subnets.id"), primary_key=True)
    ip_address: Mapped[str] = mapped_column(primary_key=True, index=True)
    port_id: Mapped[str] = mapped_column(ForeignKey("ports.id", ondelete="CASCADE"), index=True)
    network_id: Mapped[str] = mapped_column(index=True)
    position: Mapped[int] = mapped_column(default=0)  # among the port's addresses


class PortNotFound(NotFound):
    message = "Port {id} could not be found."


def find(session: Session, port_id: str) -> PortRecord:
    """The port with this id, whoever may see it."""
    record = by_key(session, PortRecord, port_id)
    if record is None:
        raise PortNotFound(id=port_id[:64])
    return record


def addresses_of(session: Session, port_id: str) -> list[AddressRecord]:
    """A port's addresses, in its order."""
    found = select(AddressRecord).where(AddressRecord.port_id == port_id)
    return list(session.scalars(found.order_by(AddressRecord.position)))
