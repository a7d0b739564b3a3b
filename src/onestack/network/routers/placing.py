"""Where routers are: each on one host, and on another one when that is gone."""

from collections.abc import Sequence

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from onestack.core import event
from onestack.core.flow import periodic
from onestack.network import dhcp
from onestack.network.ports.record import ROUTER_GATEWAY, ROUTER_INTERFACE, PortRecord
from onestack.network.routers.record import RouterRecord
from onestack.network.wirings import change

WATCH_S = 30.0
LEGS = (ROUTER_INTERFACE, ROUTER_GATEWAY)


def settle(session: Session, router: RouterRecord) -> None:
    """Let a router that is on a network be on a host, and let that host know what is new."""
    ports = select(PortRecord.id, PortRecord.host).where(
        PortRecord.device_id == router.id, PortRecord.device_owner.in_(LEGS)
    )
    legs = session.execute(ports).all()
    if not legs:
        unplace(session, router)
        return
    if not router.host:
        router.host = _chosen(session) or ""
        session.flush()
    if any(each.host != router.host for each in legs):
        _bind_legs(session, router)
    if router.host:
        change.touch(session, "router", [router.id])
        change.ring(session, [router.host])


def unplace(session: Session, router: RouterRecord) -> None:
    """Take a router off its host."""
    left, router.host = router.host, ""
    session.flush()
    change.ring(session, [left])


def move(session: Session, router: RouterRecord, host: str) -> None:
    """Take a router from its host, if it has one, to another."""
    left, router.host = router.host, host
    session.flush()
    _bind_legs(session, router)
    change.ring(session, {left, host})
    payload = {"id": router.id, "from": left, "host": host}
    event.emit(session, "router.move", payload, router.project_id, router.id)


def hosts(session: Session) -> Sequence[str]:
    """The hosts that routers may be on."""
    return [each.host for each in dhcp.gateways(session)]


def place_homeless(session: Session) -> None:
    """Place routers that found no host when they needed one: now there may be one."""
    homeless = _with_legs().where(RouterRecord.host == "")
    # Each of many hosts asks when it comes: looking at all hosts is for when it is needed.
    if session.scalars(homeless.limit(1)).first() is not None and hosts(session):
        _move(session, homeless)


@periodic(WATCH_S)
def move_routers(session: Session) -> None:
    """Place routers that have no host, and those whose host is not heard of any more."""
    good = hosts(session)
    if good:
        _move(session, _with_legs().where(RouterRecord.host.not_in(good)))


def _with_legs() -> Select[RouterRecord]:
    legs = select(PortRecord.device_id).where(PortRecord.device_owner.in_(LEGS))
    wanted = select(RouterRecord).where(RouterRecord.id.in_(legs))
    return wanted.order_by(RouterRecord.id).with_for_update()


def _move(session: Session, routers: Select[RouterRecord]) -> None:
    for router in session.scalars(routers).all():
        move(session, router, _chosen(session) or "")


def _bind_legs(session: Session, router: RouterRecord) -> None:
    """A router's ports are where it is, and DOWN until they are wired there."""
    session.execute(
        update(PortRecord)
        .where(
            PortRecord.device_id == router.id,
            PortRecord.device_owner.in_(LEGS),
            PortRecord.host != router.host,
        )
        .values(host=router.host, status="DOWN")
    )


def _chosen(session: Session) -> str | None:
    """The host with the fewest routers."""
    known = hosts(session)
    counted = select(RouterRecord.host, func.count().label("routers")).group_by(RouterRecord.host)
    load = {row.host: row.routers for row in session.execute(counted)}
    return min(known, key=lambda each: (load.get(each, 0), each), default=None)
