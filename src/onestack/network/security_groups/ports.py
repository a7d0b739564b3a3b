"""Which security groups guard which ports: what ports and servers ask of groups."""

from collections.abc import Iterable, Sequence
from typing import cast

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.orm import Session

from onestack.core.db import bump
from onestack.core.errors import Conflict
from onestack.core.listed import among
from onestack.network.security_groups.record import (
    DEFAULT,
    PortSecurityGroupRecord,
    SecurityGroupNotFound,
    SecurityGroupRecord,
    default_group,
)
from onestack.network.standard import TOPIC

_GROUPS = cast(Table, SecurityGroupRecord.__table__)
_PORTS = cast(Table, PortSecurityGroupRecord.__table__)
_ADD = insert(_PORTS)
_NAMES_OF = (
    select(_PORTS.c.port_id, _GROUPS.c.name)
    .join(_GROUPS, _GROUPS.c.id == _PORTS.c.security_group_id)
    .where(among(_PORTS.c.port_id, "ports"))
    .order_by(_GROUPS.c.name)
)


class NameNotUnique(Conflict):
    type = "NeutronClientNoUniqueMatch"
    message = "Multiple security groups found matching '{name}'. Use an ID to be more specific."


def keep_groups(session: Session, port_ids: Sequence[str], group_ids: Iterable[str]) -> None:
    """Let these groups, and no others, guard each of these ports."""
    session.execute(delete(_PORTS).where(_PORTS.c.port_id.in_(port_ids)))
    add_groups(session, port_ids, group_ids)


def add_groups(session: Session, port_ids: Iterable[str], group_ids: Iterable[str]) -> None:
    """Let these groups guard new ports, which no group guards yet."""
    wanted = sorted(set(group_ids))
    rows = [{"port_id": port, "security_group_id": group} for port in port_ids for group in wanted]
    if rows:
        session.connection().execute(_ADD, rows)
        bump(session, TOPIC)


def groups_of(session: Session, port_ids: Iterable[str]) -> dict[str, list[str]]:
    """The ids of the groups that guard each port; a port that none guards is missing."""
    rows = session.execute(
        select(_PORTS.c.port_id, _PORTS.c.security_group_id)
        .where(_PORTS.c.port_id.in_(list(port_ids)))
        .order_by(_PORTS.c.security_group_id)
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.port_id, []).append(row.security_group_id)
    return found


def names_of(session: Session, port_ids: Iterable[str]) -> dict[str, list[str]]:
    """The names of the groups that guard each port; a port that none guards is missing."""
    rows = session.execute(_NAMES_OF, {"ports": list(port_ids)})
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.port_id, []).append(row.name)
    return found


def checked_groups(
    session: Session, project_id: str, group_ids: Iterable[str], *, is_admin: bool = False
) -> list[str]:
    """The ids, each once and each of a group that the project may use; or `SecurityGroupNotFound`.

    An administrator may use the groups of all projects.
    """
    wanted = sorted(set(group_ids))
    visible = select(_GROUPS.c.id).where(_GROUPS.c.id.in_(wanted))
    if not is_admin:
        visible = visible.where(_GROUPS.c.project_id == project_id)
    found = set(session.scalars(visible))
    for each in wanted:
        if each not in found:
            raise SecurityGroupNotFound(id=each[:64])
    return wanted


def named_groups(session: Session, project_id: str, names: Iterable[str]) -> list[str]:
    """The ids of a project's groups that are given by id or by name; or `SecurityGroupNotFound`.

    The default group is there for who asks for it.
    """
    found: dict[str, None] = {}
    for name in names:
        if name == DEFAULT:
            default_group(session, project_id)
        own = select(_GROUPS.c.id, _GROUPS.c.name).where(_GROUPS.c.project_id == project_id)
        by_id = session.execute(own.where(_GROUPS.c.id == name)).first()
        rows = [by_id] if by_id else session.execute(own.where(_GROUPS.c.name == name)).all()
        if not rows:
            raise SecurityGroupNotFound(id=name[:64])
        if len(rows) > 1:
            raise NameNotUnique(name=name[:255])
        found[rows[0].id] = None
    return list(found)
