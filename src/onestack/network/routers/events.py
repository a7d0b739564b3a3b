"""What is told when a router changes: to its host, and to those who listen."""

from typing import Any

from sqlalchemy.orm import Session

from onestack.core import event
from onestack.network.routers import placing
from onestack.network.routers.record import RouterRecord
from onestack.network.standard import touch


def changed(session: Session, record: RouterRecord) -> None:
    """Note that a router changed, and let its host know."""
    touch(record)
    session.flush()
    placing.settle(session, record)
    event.emit(session, "router.update.end", payload(record), record.project_id, record.id)


def payload(record: RouterRecord) -> dict[str, Any]:
    """A router as events name it."""
    return {
        "id": record.id,
        "name": record.name,
        "project_id": record.project_id,
        "admin_state_up": record.admin_state_up,
        "status": record.status,
        "external_network_id": record.gateway_network_id,
    }
