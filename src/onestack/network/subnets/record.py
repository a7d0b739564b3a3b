"""A subnet's row."""

from functools import cache
from typing import Any

from sqlalchemy import ForeignKey, Select, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record, by_key
from onestack.core.errors import Conflict, NotFound
from onestack.network.standard import Standard


class SubnetRecord(Standard, Record):
    """A range of addresses on a network."""

    __tablename__ = "subnets"

    network_id: Mapped[str] = mapped_column(ForeignKey("networks.id"), index=True)
    ip_version: Mapped[int]
    cidr: Mapped[str]
    gateway_ip: Mapped[str | None]
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    ipv6_ra_mode: Mapped[str | None]
    ipv6_address_mode: Mapped[str | None]
    allocation_pools: Mapped[list[Any]] = mapped_column(default=list)
    dns_nameservers: Mapped[list[str]] = mapped_column(default=list)
    host_routes: Mapped[list[Any]] = mapped_column(default=list)
    service_types: Mapped[list[str]] = mapped_column(default=list)
    dns_publish_fixed_ip: Mapped[bool] = mapped_column(default=False)
    subnetpool_id: Mapped[str | None] = mapped_column(ForeignKey("subnetpools.id"), index=True)

    @property
    def is_automatic(self) -> bool:
        """Whether hosts make their own addresses, of the prefix and their MAC addresses."""
        return self.ipv6_address_mode in ("slaac", "dhcpv6-stateless")


class SubnetNotFound(NotFound):
    message = "Subnet {id} could not be found."


class SubnetInUse(Conflict):
    message = "Unable to complete operation on subnet {id}: {reason}"


def find(session: Session, subnet_id: str) -> SubnetRecord:
    """The subnet with this id, whoever may see it."""
    record = by_key(session, SubnetRecord, subnet_id)
    if record is None:
        raise SubnetNotFound(id=subnet_id[:64])
    return record


def of_network(session: Session, network_id: str) -> list[SubnetRecord]:
    """A network's subnets, the oldest first."""
    return list(session.scalars(_of_network(), {"network_id": network_id}))


@cache
def _of_network() -> Select[Any]:
    found = select(SubnetRecord).where(SubnetRecord.network_id == bindparam("network_id"))
    return found.order_by(SubnetRecord.created_at, SubnetRecord.id)
