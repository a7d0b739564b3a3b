"""What a host must have, found from the rows of ports, DHCP servers and routers."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import Table, bindparam, case, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from onestack.core import event
from onestack.network.ports.record import PortRecord
from onestack.network.routers import wiring as routers
from onestack.network.security_groups.record import (
    PortSecurityGroupRecord,
    SecurityGroupRuleRecord,
)
from onestack.network.switch import Item, Trouble
from onestack.network.wirings import change
from onestack.network.wirings.record import DhcpServerRecord, WiringRecord

Key = tuple[str, str]  # the kind of an item, and its id

_WIRINGS = cast(Table, WiringRecord.__table__)
_PORTS = cast(Table, PortRecord.__table__)
_GUARDS = cast(Table, PortSecurityGroupRecord.__table__)
_RULES = cast(Table, SecurityGroupRuleRecord.__table__)
_HERE = or_(_PORTS.c.host == bindparam("here"), _PORTS.c.next_host == bindparam("here"))
_GUEST_PORTS = select(_PORTS.c.id, _PORTS.c.network_id).where(
    _HERE, _PORTS.c.device_owner.not_like("network:%")
)
_GUARDING = (
    select(_GUARDS.c.security_group_id)
    .distinct()
    .join(_PORTS, _PORTS.c.id == _GUARDS.c.port_id)
    .where(_HERE, _PORTS.c.device_owner.not_like("network:%"))
)
_KNOWN = select(_WIRINGS.c.kind, _WIRINGS.c.item_id, _WIRINGS.c.is_gone).where(
    _WIRINGS.c.host == bindparam("here")
)
# Networks come first, for ports and routers are put on them; what is gone goes last.
_ORDER = case({"network": 0, "group": 1, "port": 2, "router": 3}, value=_WIRINGS.c.kind)
_PENDING = (
    select(_WIRINGS.c.kind, _WIRINGS.c.item_id, _WIRINGS.c.wanted, _WIRINGS.c.is_gone)
    .where(_WIRINGS.c.host == bindparam("here"), _WIRINGS.c.is_pending.is_(True))
    .order_by(_WIRINGS.c.is_gone, _ORDER, _WIRINGS.c.item_id)
    .limit(bindparam("most"))
)
_THIS = (
    _WIRINGS.c.host == bindparam("here"),
    _WIRINGS.c.kind == bindparam("this_kind"),
    _WIRINGS.c.item_id == bindparam("this_id"),
)
_APPLIED = (
    update(_WIRINGS)
    .where(*_THIS)
    .values(
        applied=bindparam("revision"),
        is_pending=or_(_WIRINGS.c.wanted != bindparam("revision"), _WIRINGS.c.is_gone),
        trouble=None,
    )
)
_FORGET = delete(_WIRINGS).where(*_THIS, _WIRINGS.c.is_gone.is_(True))
_TROUBLED = update(_WIRINGS).where(*_THIS).values(is_pending=False, trouble=bindparam("text"))
_IS_KNOWN = select(_WIRINGS.c.host).where(*_THIS, _WIRINGS.c.trouble == bindparam("text"))


def settle(session: Session, host: str) -> None:
    """Let the host's rows name exactly what it must have."""
    connection = session.connection()
    wanted = wanted_on(session, host)
    known = {(row.kind, row.item_id): row.is_gone for row in
             connection.execute(_KNOWN, {"here": host})}  # fmt: skip
    added = sorted(wanted - known.keys())
    back = sorted(each for each in wanted if known.get(each))
    gone = sorted(each for each, is_gone in known.items() if each not in wanted and not is_gone)
    if added:
        rows = [{"host": host, "kind": kind, "item_id": item_id, "wanted": 1, "applied": 0,
                 "is_gone": False, "is_pending": True} for kind, item_id in added]  # fmt: skip
        connection.execute(insert(_WIRINGS), rows)
    for keys, is_gone in ((back, False), (gone, True)):
        if keys:
            connection.execute(
                update(_WIRINGS)
                .where(*_THIS)
                .values(wanted=_WIRINGS.c.wanted + 1, is_gone=is_gone, is_pending=True),
                [_named(host, key) for key in keys],
            )
    moved = {item_id for kind, item_id in (*added, *back, *gone) if kind == "network"}
    change.touch(session, "network", moved, but=host)  # the other hosts have other peers now


def wanted_on(session: Session, host: str) -> set[Key]:
    """Everything that a host must have."""
    connection, here = session.connection(), {"here": host}
    found: set[Key] = set()
    for row in connection.execute(_GUEST_PORTS, here):
        found |= {("port", row.id), ("network", row.network_id)}
    served = select(DhcpServerRecord.network_id).where(DhcpServerRecord.host == host)
    found |= {("network", each) for each in session.scalars(served)}
    found |= routers.wanted_on(session, host)
    groups = set(connection.execute(_GUARDING, here).scalars())
    found |= {("group", each) for each in _with_remote(session, groups)}
    return found


def pending(session: Session, host: str, most: int) -> Sequence[Any]:
    """What a host has not yet, in the order in which it is to be applied."""
    return session.connection().execute(_PENDING, {"here": host, "most": most}).all()


def note_applied(session: Session, host: str, items: Iterable[Item]) -> None:
    """Write down that a host has these revisions now."""
    done = [each for each in items if each.revision]
    gone = [each for each in items if not each.revision]
    connection = session.connection()
    if done:
        connection.execute(
            _APPLIED,
            [{**_named(host, (i.kind, i.id)), "revision": i.revision} for i in done],
        )
    if gone:
        connection.execute(_FORGET, [_named(host, (i.kind, i.id)) for i in gone])


def note_troubles(session: Session, host: str, troubles: Iterable[Trouble]) -> None:
    """Write down what a host could not apply, and report what is new; the watch tries again."""
    connection = session.connection()
    for each in troubles:
        said = {**_named(host, (each.item.kind, each.item.id)), "text": each.text[:2000]}
        is_known = connection.execute(_IS_KNOWN, said).first() is not None
        connection.execute(_TROUBLED, said)
        if is_known:
            continue
        payload = {"host": host, "kind": each.item.kind, "id": each.item.id, "text": each.text}
        event.emit(session, "network.wiring.trouble", payload, resource=each.item.id)


def _with_remote(session: Session, groups: set[str]) -> set[str]:
    """Groups, and those whose members their rules name."""
    found, new = set(groups), set(groups)
    while new:
        named = session.connection().execute(
            select(_RULES.c.remote_group_id).distinct().where(
                _RULES.c.security_group_id.in_(new), _RULES.c.remote_group_id.is_not(None)
            )
        )  # fmt: skip
        new = set(named.scalars()) - found
        found |= new
    return found


def _named(host: str, key: Key) -> dict[str, str]:
    return {"here": host, "this_kind": key[0], "this_id": key[1]}
