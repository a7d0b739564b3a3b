"""Security groups' rows: the groups, their rules, and the ports that they guard."""

import datetime as dt
from contextlib import suppress
from typing import cast

from sqlalchemy import ForeignKey, Table, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import clock
from onestack.core.db import Record
from onestack.core.errors import NotFound
from onestack.network.standard import TOPIC, Standard, new_id

DEFAULT = "default"
ETHERTYPES = ("IPv4", "IPv6")


class SecurityGroupRecord(Standard, Record):
    """A security group; `default_of` names the project whose default it is."""

    __tablename__ = "security_groups"

    stateful: Mapped[bool] = mapped_column(default=True)
    default_of: Mapped[str | None] = mapped_column(unique=True)


class SecurityGroupRuleRecord(Record):
    """One thing that a security group lets through."""

    __tablename__ = "security_group_rules"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    security_group_id: Mapped[str] = mapped_column(
        ForeignKey("security_groups.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str] = mapped_column(index=True)
    direction: Mapped[str]
    ethertype: Mapped[str]
    protocol: Mapped[str | None]
    port_range_min: Mapped[int | None]
    port_range_max: Mapped[int | None]
    remote_ip_prefix: Mapped[str | None]
    remote_group_id: Mapped[str | None] = mapped_column(
        ForeignKey("security_groups.id", ondelete="CASCADE"), index=True
    )
    remote_address_group_id: Mapped[str | None] = mapped_column(
        ForeignKey("address_groups.id"), index=True
    )
    description: Mapped[str] = mapped_column(default="")
    revision_number: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class PortSecurityGroupRecord(Record):
    """A port that a security group guards."""

    __tablename__ = "port_security_groups"
    topic = TOPIC

    port_id: Mapped[str] = mapped_column(
        ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True
    )
    security_group_id: Mapped[str] = mapped_column(
        ForeignKey("security_groups.id"), primary_key=True, index=True
    )


class SecurityGroupNotFound(NotFound):
    message = "Security group {id} does not exist"


_GROUPS = cast(Table, SecurityGroupRecord.__table__)
_DEFAULT_OF = select(_GROUPS.c.id).where(_GROUPS.c.default_of == bindparam("project_id"))


def default_group(session: Session, project_id: str) -> str:
    """The id of a project's default group, which is made when somebody first asks for it."""
    wanted = {"project_id": project_id}
    found: str | None = session.connection().execute(_DEFAULT_OF, wanted).scalar()
    if found is None:
        with suppress(IntegrityError), session.begin_nested():  # somebody else was faster
            _add_default(session, project_id)
        found = session.execute(_DEFAULT_OF, wanted).scalar_one()
    return found


def add_default_rules(session: Session, group: SecurityGroupRecord) -> None:
    """Let everything leave a new group's ports; a default group's also reach each other."""
    is_default = group.default_of is not None
    for ethertype in ETHERTYPES:
        session.add(_open(group, "egress", ethertype, None))
        if is_default:
            session.add(_open(group, "ingress", ethertype, group.id))


def _add_default(session: Session, project_id: str) -> None:
    now = clock.now()
    group = SecurityGroupRecord(
        id=new_id(), project_id=project_id, name=DEFAULT, description="Default security group",
        stateful=True, default_of=project_id, revision_number=1, created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(group)
    session.flush()
    add_default_rules(session, group)
    session.flush()


def _open(
    group: SecurityGroupRecord, direction: str, ethertype: str, remote_group_id: str | None
) -> SecurityGroupRuleRecord:
    return SecurityGroupRuleRecord(
        id=new_id(), security_group_id=group.id, project_id=group.project_id,
        direction=direction, ethertype=ethertype, remote_group_id=remote_group_id,
        created_at=group.created_at, updated_at=group.updated_at,
    )  # fmt: skip
