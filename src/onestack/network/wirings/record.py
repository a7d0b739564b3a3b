"""The rows of what hosts must have: hosts, items on hosts, and networks' DHCP servers."""

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Record
from onestack.network.standard import TOPIC


class SwitchHostRecord(Record):
    """A host that has networks: what the flow that wires it holds."""

    __tablename__ = "switch_hosts"

    host: Mapped[str] = mapped_column(primary_key=True)
    tunnel_address: Mapped[str] = mapped_column(default="")


class WiringRecord(Record):
    """An item that a host must have (or must have no more), and which revision it has of it."""

    __tablename__ = "wirings"
    __table_args__ = (
        Index("ix_wirings_host_is_pending", "host", "is_pending"),
        Index("ix_wirings_kind_item_id", "kind", "item_id"),
    )

    host: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    item_id: Mapped[str] = mapped_column(primary_key=True)
    wanted: Mapped[int] = mapped_column(default=1)
    applied: Mapped[int] = mapped_column(default=0)
    is_gone: Mapped[bool] = mapped_column(default=False)
    is_pending: Mapped[bool] = mapped_column(default=True)
    trouble: Mapped[str | None]  # why the newest revision could not be applied


class DhcpServerRecord(Record):
    """Which host answers DHCP on a network, and as which port."""

    __tablename__ = "dhcp_servers"
    topic = TOPIC

    network_id: Mapped[str] = mapped_column(
        ForeignKey("networks.id", ondelete="CASCADE"), primary_key=True
    )
    host: Mapped[str] = mapped_column(index=True)
    port_id: Mapped[str] = mapped_column(ForeignKey("ports.id", ondelete="CASCADE"), index=True)
