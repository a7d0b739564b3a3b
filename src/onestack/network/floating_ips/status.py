"""A floating IP's status: it works once its router is wired."""

from collections.abc import Iterable

from sqlalchemy import update
from sqlalchemy.orm import Session

from onestack.network.floating_ips.record import FloatingIpRecord


def note_wired(session: Session, router_ids: Iterable[str]) -> None:
    """Routers were applied: the floating IPs that go by them work."""
    wanted = list(router_ids)
    if not wanted:
        return
    session.execute(
        update(FloatingIpRecord)
        .where(FloatingIpRecord.router_id.in_(wanted), FloatingIpRecord.status == "DOWN")
        .values(status="ACTIVE")
    )
