"""The rows of subnet pools and address scopes."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Record
from onestack.network.standard import TOPIC, Standard


class AddressScopeRecord(Record):
    """Pools of one scope never overlap, so addresses within it are unique."""

    __tablename__ = "address_scopes"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    ip_version: Mapped[int]
    shared: Mapped[bool] = mapped_column(default=False)


class SubnetPoolRecord(Standard, Record):
    """Prefixes that subnets are cut from."""

    __tablename__ = "subnetpools"

    ip_version: Mapped[int]
    prefixes: Mapped[list[str]]
    min_prefixlen: Mapped[int]
    max_prefixlen: Mapped[int]
    default_prefixlen: Mapped[int]
    default_quota: Mapped[int | None]
    shared: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=False)
    address_scope_id: Mapped[str | None] = mapped_column(
        ForeignKey("address_scopes.id"), index=True
    )
