"""What clients may say of subnet pools and address scopes, and how they see them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from sqlalchemy import ColumnElement, or_

from onestack.core.context import Context
from onestack.core.shapes import UNSET, Id, Meta, Shape, UnsetType
from onestack.network import lists, rbac, rules
from onestack.network.attributes import Text
from onestack.network.standard import iso
from onestack.network.subnetpools.record import AddressScopeRecord, SubnetPoolRecord

READ = f"{rules.ADMIN} or (role:reader and (project_id:%(project_id)s or 'True':%(shared)s))"
GET_POOL = rules.rule("get_subnetpool", READ)
GET_SCOPE = rules.rule("get_address_scope", READ)
CREATE_SHARED = {
    "shared": rules.rule("create_subnetpool:shared", rules.ADMIN),
    "is_default": rules.rule("create_subnetpool:is_default", rules.ADMIN),
}
UPDATE_DEFAULT = {
    "is_default": rules.rule("update_subnetpool:is_default", rules.ADMIN),
}
SCOPE_SHARED = {"shared": rules.rule("create_address_scope:shared", rules.ADMIN)}
JUDGED_TOO = (*CREATE_SHARED.values(), *UPDATE_DEFAULT.values(), *SCOPE_SHARED.values())

Length = Annotated[int, Meta(ge=0, le=128)]
Amount = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class SubnetPoolUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a pool."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    prefixes: list[str] | UnsetType = UNSET
    min_prefixlen: Length | UnsetType = UNSET
    max_prefixlen: Length | UnsetType = UNSET
    default_prefixlen: Length | UnsetType = UNSET
    default_quota: Amount | UnsetType | None = UNSET
    address_scope_id: Id | UnsetType | None = UNSET
    is_default: bool | UnsetType = UNSET


class SubnetPoolCreate(SubnetPoolUpdate, forbid_unknown_fields=True):
    """A pool to make."""

    shared: bool | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET
    tenant_id: Id | UnsetType | None = UNSET


class SubnetPoolView(Shape):
    """A pool; where lengths are shown as text, clients expect it so."""

    id: str
    name: str
    tenant_id: str
    project_id: str
    ip_version: int
    prefixes: list[str]
    min_prefixlen: str
    max_prefixlen: str
    default_prefixlen: str
    default_quota: int | None
    address_scope_id: str | None
    shared: bool
    is_default: bool
    description: str
    tags: list[str]
    created_at: str
    updated_at: str
    revision_number: int


class AddressScopeUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a scope."""

    name: Text | UnsetType = UNSET
    shared: bool | UnsetType = UNSET


class AddressScopeCreate(AddressScopeUpdate, forbid_unknown_fields=True):
    """A scope to make."""

    ip_version: int | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET
    tenant_id: Id | UnsetType | None = UNSET


class AddressScopeView(Shape):
    """A scope."""

    id: str
    name: str
    tenant_id: str
    project_id: str
    ip_version: int
    shared: bool


def pool_views(_ctx: Context, rows: Sequence[Any]) -> list[SubnetPoolView]:
    """Pools as clients see them."""
    return [
        SubnetPoolView(
            id=row.id, name=row.name, tenant_id=row.project_id, project_id=row.project_id,
            ip_version=row.ip_version, prefixes=row.prefixes,
            min_prefixlen=str(row.min_prefixlen), max_prefixlen=str(row.max_prefixlen),
            default_prefixlen=str(row.default_prefixlen), default_quota=row.default_quota,
            address_scope_id=row.address_scope_id, shared=row.shared, is_default=row.is_default,
            description=row.description, tags=row.tags, created_at=iso(row.created_at),
            updated_at=iso(row.updated_at), revision_number=row.revision_number,
        )
        for row in rows
    ]  # fmt: skip


def scope_views(_ctx: Context, rows: Sequence[Any]) -> list[AddressScopeView]:
    """Scopes as clients see them."""
    return [
        AddressScopeView(
            id=row.id, name=row.name, tenant_id=row.project_id, project_id=row.project_id,
            ip_version=row.ip_version, shared=row.shared,
        )
        for row in rows
    ]  # fmt: skip


POOLS: lists.Noun[SubnetPoolView] = lists.Noun(SubnetPoolRecord, SubnetPoolView, pool_views)
SCOPES: lists.Noun[AddressScopeView] = lists.Noun(AddressScopeRecord, AddressScopeView, scope_views)


def visible(ctx: Context, noun: lists.Noun[Any]) -> Mapping[str, ColumnElement[Any]]:
    """What the rules on reading judge by, as columns."""
    columns = noun.table.c
    shared = or_(columns.shared, rbac.shared_with(ctx.caller.project_id, columns.id))
    return {"project_id": columns.project_id, "shared": shared}
