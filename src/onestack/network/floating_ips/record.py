"""A floating IP's row, and the rows of its port forwardings."""

import datetime as dt

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.network.standard import TOPIC, Standard


class FloatingIpRecord(Standard, Record):
    """An address on an external network, and the fixed address that it stands for."""

    __tablename__ = "floating_ips"
    __table_args__ = (UniqueConstraint("fixed_port_id", "fixed_ip_address"),)

    floating_network_id: Mapped[str] = mapped_column(ForeignKey("networks.id"), index=True)
    floating_ip_address: Mapped[str] = mapped_column(index=True)
    floating_port_id: Mapped[str] = mapped_column(ForeignKey("ports.id"), unique=True)
    fixed_port_id: Mapped[str | None] = mapped_column(ForeignKey("ports.id"))
    fixed_ip_address: Mapped[str | None] = mapped_column(index=True)
    router_id: Mapped[str | None] = mapped_column(ForeignKey("routers.id"), index=True)
    status: Mapped[str] = mapped_column(default="DOWN")
    dns_name: Mapped[str] = mapped_column(default="")
    dns_domain: Mapped[str] = mapped_column(default="")


class PortForwardingRecord(Record):
    """One port of a floating IP that leads to one port of a fixed address."""

    __tablename__ = "port_forwardings"
    __table_args__ = (UniqueConstraint("floating_ip_id", "protocol", "external_port"),)
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    floating_ip_id: Mapped[str] = mapped_column(ForeignKey("floating_ips.id", ondelete="CASCADE"))
    protocol: Mapped[str]
    external_port: Mapped[int]
    internal_port_id: Mapped[str] = mapped_column(ForeignKey("ports.id"), index=True)
    internal_ip_address: Mapped[str]
    internal_port: Mapped[int]
    description: Mapped[str] = mapped_column(default="")
    created_at: Mapped[dt.datetime]


class FloatingIpNotFound(NotFound):
    type = "FloatingIPNotFound"
    message = "Floating IP {floatingip_id} could not be found"


def find(session: Session, floatingip_id: str) -> FloatingIpRecord:
    """The floating IP with this id, whoever may see it."""
    record = session.get(FloatingIpRecord, floatingip_id)
    if record is None:
        raise FloatingIpNotFound(floatingip_id=floatingip_id[:64])
    return record
