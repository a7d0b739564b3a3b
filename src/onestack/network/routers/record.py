"""A router's row, and where its ports are."""

from typing import Any

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.network.ports.record import ROUTER_INTERFACE, PortRecord
from onestack.network.standard import Standard


class RouterRecord(Standard, Record):
    """A router; `host` is where it is placed, once it has something to do."""

    __tablename__ = "routers"

    admin_state_up: Mapped[bool] = mapped_column(default=True)
    status: Mapped[str] = mapped_column(default="ACTIVE")
    gateway_port_id: Mapped[str | None] = mapped_column(ForeignKey("ports.id"), unique=True)
    gateway_network_id: Mapped[str | None] = mapped_column(ForeignKey("networks.id"), index=True)
    enable_snat: Mapped[bool] = mapped_column(default=True)
    routes: Mapped[list[Any]] = mapped_column(default=list)
    availability_zone_hints: Mapped[list[str]] = mapped_column(default=list)
    host: Mapped[str] = mapped_column(default="", index=True)


class RouterNotFound(NotFound):
    message = "Router {router_id} could not be found."


def find(session: Session, router_id: str) -> RouterRecord:
    """The router with this id, whoever may see it."""
    record = session.get(RouterRecord, router_id)
    if record is None:
        raise RouterNotFound(router_id=router_id[:64])
    return record


def interfaces_of(session: Session, router_id: str) -> list[PortRecord]:
    """The ports by which a router is on internal networks, the oldest first."""
    found = select(PortRecord).where(
        PortRecord.device_id == router_id, PortRecord.device_owner == ROUTER_INTERFACE
    )
    return list(session.scalars(found.order_by(PortRecord.created_at, PortRecord.id)))
