"""A network's row."""

from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record, by_key
from onestack.core.errors import Conflict, NotFound
from onestack.network.standard import Standard


class NetworkRecord(Standard, Record):
    """A network; its segment is unique in the cloud, unless it is local."""

    __tablename__ = "networks"

    admin_state_up: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(default="ACTIVE")
    shared: Mapped[bool] = mapped_column(default=False)
    external: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=False)
    mtu: Mapped[int]
    port_security_enabled: Mapped[bool] = mapped_column(default=True)
    dns_domain: Mapped[str] = mapped_column(default="")
    availability_zone_hints: Mapped[list[str]] = mapped_column(default=list)
    network_type: Mapped[str]
    physical_network: Mapped[str | None]
    segmentation_id: Mapped[int | None]
    segment: Mapped[str | None] = mapped_column(unique=True)


class NetworkNotFound(NotFound):
    message = "Network {id} could not be found."


class NetworkInUse(Conflict):
    message = (
        "Unable to complete operation on network {id}. There are one or more ports still in use "
        "on the network."
    )


def find(session: Session, network_id: str) -> NetworkRecord:
    """The network with this id, whoever may see it."""
    record = by_key(session, NetworkRecord, network_id)
    if record is None:
        raise NetworkNotFound(id=network_id[:64])
    return record
