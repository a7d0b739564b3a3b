"""Subnet pools: list, show, create, change, delete."""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.shapes import Shape
from onestack.network import ipam, lists, quotas, rbac, rules
from onestack.network.attributes import InvalidInput, given_in, judge, prefix, said
from onestack.network.standard import new_id, touch
from onestack.network.subnetpools import attributes, prefixes
from onestack.network.subnetpools.address_scopes import usable_scope
from onestack.network.subnetpools.attributes import (
    POOLS,
    SubnetPoolCreate,
    SubnetPoolUpdate,
    SubnetPoolView,
)
from onestack.network.subnetpools.record import SubnetPoolRecord
from onestack.network.subnets.record import SubnetRecord

api = Operations("subnetpools")

LEAST = {4: 8, 6: 64}
MOST = {4: 32, 6: 128}
ONE = "/v2.0/subnetpools/{subnetpool_id}"


class PoolInUse(BadRequest):
    type = "SubnetPoolDeleteError"
    message = "Unable to delete subnet pool: Subnet pool has existing allocations."


class IllegalPrefixes(BadRequest):
    type = "IllegalSubnetPoolPrefixUpdate"
    message = "Illegal update to prefixes: Existing prefixes must be a subset of new prefixes."


class EmptyPool(BadRequest):
    type = "EmptySubnetPoolPrefixList"
    message = "Empty subnet pool prefix list."


class MixedVersions(BadRequest):
    type = "PrefixVersionMismatch"
    message = "Cannot mix IPv4 and IPv6 prefixes in a subnet pool."


class IllegalBounds(BadRequest):
    type = "IllegalSubnetPoolPrefixBounds"
    message = "Illegal prefix bounds: {left}={low}, {right}={high}."


class SecondDefault(BadRequest):
    type = "InvalidInput"
    message = (
        "Invalid input for operation: A default subnetpool for this IP family has already been "
        "set. Only one default may exist per IP family."
    )


class ScopeOverlap(Conflict):
    type = "AddressScopePrefixConflict"
    message = (
        "Failed to associate address scope: subnetpools within an address scope must have unique "
        "prefixes."
    )


class ScopeVersion(BadRequest):
    type = "IllegalSubnetPoolIpVersionAssociationToAddressScope"
    message = (
        "Illegal subnetpool association: subnetpool {id} cannot associate with address scope "
        "{scope} because subnetpool ip_version is not {version}."
    )


class PrefixesBody(Shape, forbid_unknown_fields=True):
    """Prefixes to add to a pool, or to take from it."""

    prefixes: list[str]


class PrefixesView(Shape):
    """The prefixes of a pool."""

    prefixes: list[str]


@api.get("/v2.0/subnetpools", attributes.GET_POOL, key="subnetpools")
def index(ctx: Context) -> Page[SubnetPoolView]:
    """List the pools that the caller's project has, or may cut from."""
    return lists.page(ctx, POOLS, attributes.visible(ctx, POOLS))


@api.get(ONE, attributes.GET_POOL, key="subnetpool")
def show(ctx: Context, subnetpool_id: str) -> SubnetPoolView:
    """Show a pool."""
    record = _seen(ctx, subnetpool_id)
    ctx.allow(_target(ctx, record))
    return lists.shown(ctx, POOLS, record)


@api.post(
    "/v2.0/subnetpools", rules.rule("create_subnetpool", rules.WRITE), key="subnetpool", status=201
)
def create(ctx: Context, body: SubnetPoolCreate) -> SubnetPoolView:
    """Create a pool."""
    given = given_in(body)
    project_id = rules.owner_of(ctx, given.pop("project_id", None), given.pop("tenant_id", None))
    target = {"project_id": project_id, "tenant_id": project_id}
    ctx.allow(target)
    judge(ctx, attributes.CREATE_SHARED, said(given), target)
    quotas.check(ctx.session, project_id, {"subnetpool": 1})
    found = _checked(given.pop("prefixes", ()))
    now = clock.now()
    version = ipaddress.ip_network(found[0]).version
    lowest = given.pop("min_prefixlen", LEAST[version])
    record = SubnetPoolRecord(
        id=new_id(), project_id=project_id, revision_number=0, created_at=now, updated_at=now,
        ip_version=version, prefixes=found, min_prefixlen=lowest,
        max_prefixlen=given.pop("max_prefixlen", MOST[version]),
        default_prefixlen=given.pop("default_prefixlen", lowest), **given,
    )  # fmt: skip
    _check(ctx, record)
    ctx.session.add(record)
    ctx.session.flush()
    if record.shared:
        rbac.share(ctx.session, "subnetpool", record.id, project_id, rbac.SHARED, True)
    _emit(ctx, "create", record)
    return attributes.pool_views(ctx, [record])[0]


@api.put(ONE, rules.rule("update_subnetpool", rules.WRITE), key="subnetpool")
def update(ctx: Context, subnetpool_id: str, body: SubnetPoolUpdate) -> SubnetPoolView:
    """Change a pool."""
    record = _seen(ctx, subnetpool_id)
    target = _target(ctx, record)
    ctx.allow(target)
    given = given_in(body)
    judge(ctx, attributes.UPDATE_DEFAULT, given, target)
    if "prefixes" in given:
        wanted = _checked(given.pop("prefixes"))
        if not _covered(record.prefixes, wanted):
            raise IllegalPrefixes
        record.prefixes = wanted
    for name, value in given.items():
        setattr(record, name, value)
    _check(ctx, record)
    touch(record)
    ctx.session.flush()
    _emit(ctx, "update", record)
    return attributes.pool_views(ctx, [record])[0]


@api.put(f"{ONE}/add_prefixes", rules.rule("add_prefixes", rules.WRITE))
def add_prefixes(ctx: Context, subnetpool_id: str, body: PrefixesBody) -> PrefixesView:
    """Add prefixes to a pool."""
    record = _seen(ctx, subnetpool_id)
    ctx.allow(_target(ctx, record))
    record.prefixes = _checked([*record.prefixes, *body.prefixes])
    _check(ctx, record)
    touch(record)
    return PrefixesView(prefixes=record.prefixes)


@api.put(f"{ONE}/remove_prefixes", rules.rule("remove_prefixes", rules.WRITE))
def remove_prefixes(ctx: Context, subnetpool_id: str, body: PrefixesBody) -> PrefixesView:
    """Take prefixes from a pool that no subnet is cut from."""
    record = _seen(ctx, subnetpool_id)
    ctx.allow(_target(ctx, record))
    gone = {prefix(each) for each in body.prefixes}
    used = select(SubnetRecord.cidr).where(SubnetRecord.subnetpool_id == record.id)
    if any(ipam.overlap(cidr, each) for cidr in ctx.session.scalars(used) for each in gone):
        raise IllegalPrefixes
    record.prefixes = _checked([each for each in record.prefixes if each not in gone])
    touch(record)
    return PrefixesView(prefixes=record.prefixes)


@api.delete(ONE, rules.rule("delete_subnetpool", rules.WRITE))
def delete(ctx: Context, subnetpool_id: str) -> None:
    """Delete a pool that no subnet is cut from."""
    record = _seen(ctx, subnetpool_id)
    ctx.allow(_target(ctx, record))
    used = select(SubnetRecord.id).where(SubnetRecord.subnetpool_id == record.id).limit(1)
    if ctx.session.scalar(used) is not None:
        raise PoolInUse
    rbac.forget(ctx.session, record.id)
    ctx.session.delete(record)
    _emit(ctx, "delete", record)


def _seen(ctx: Context, pool_id: str) -> SubnetPoolRecord:
    record = ctx.session.get(SubnetPoolRecord, pool_id)
    if record is None or not prefixes.is_seen(ctx, record):
        raise prefixes.SubnetPoolNotFound(id=pool_id[:64])
    return record


def _target(ctx: Context, record: SubnetPoolRecord) -> dict[str, object]:
    return {
        "project_id": record.project_id, "tenant_id": record.project_id,
        "shared": record.shared or record.project_id != ctx.caller.project_id,
    }  # fmt: skip


def _checked(given: Iterable[str]) -> list[str]:
    """Prefixes, put together where they touch."""
    found = [ipaddress.ip_network(prefix(each)) for each in given]
    if not found:
        raise EmptyPool
    if len({each.version for each in found}) > 1:
        raise MixedVersions
    return [str(each) for each in ipaddress.collapse_addresses(found)]  # type: ignore[type-var]


def _covered(old: Sequence[str], new: Sequence[str]) -> bool:
    return all(
        any(
            ipam.overlap(one, other)
            and ipaddress.ip_network(other).prefixlen <= ipaddress.ip_network(one).prefixlen
            for other in new
        )
        for one in old
    )


def _check(ctx: Context, record: SubnetPoolRecord) -> None:
    bounds: list[tuple[str, int, str, int]] = [
        ("min_prefixlen", record.min_prefixlen, "max_prefixlen", record.max_prefixlen),
        ("min_prefixlen", record.min_prefixlen, "default_prefixlen", record.default_prefixlen),
        ("default_prefixlen", record.default_prefixlen, "max_prefixlen", record.max_prefixlen),
        ("max_prefixlen", record.max_prefixlen, "ip_version's", MOST[record.ip_version]),
    ]
    for left, low, right, high in bounds:
        if low > high:
            raise IllegalBounds(left=left, low=low, right=right, high=high)
    with ctx.session.no_autoflush:
        if record.is_default:
            _refuse_second_default(ctx, record)
        if record.address_scope_id is not None:
            _check_scope(ctx, record, record.address_scope_id)


def _refuse_second_default(ctx: Context, record: SubnetPoolRecord) -> None:
    other = select(SubnetPoolRecord.id).where(
        SubnetPoolRecord.is_default, SubnetPoolRecord.ip_version == record.ip_version,
        SubnetPoolRecord.id != record.id,
    )  # fmt: skip
    if ctx.session.scalar(other) is not None:
        raise SecondDefault


def _check_scope(ctx: Context, record: SubnetPoolRecord, scope_id: str) -> None:
    scope = usable_scope(ctx, scope_id)
    if scope.ip_version != record.ip_version:
        raise ScopeVersion(id=record.id, scope=scope.id, version=scope.ip_version)
    if record.shared and not scope.shared:
        raise InvalidInput(reason="a shared subnetpool needs a shared address scope")
    others = select(SubnetPoolRecord.prefixes).where(
        SubnetPoolRecord.address_scope_id == scope.id, SubnetPoolRecord.id != record.id
    )
    for found in ctx.session.scalars(others):
        if any(ipam.overlap(one, other) for one in found for other in record.prefixes):
            raise ScopeOverlap


def _emit(ctx: Context, what: str, record: SubnetPoolRecord) -> None:
    payload: dict[str, Any] = {"id": record.id, "name": record.name, "prefixes": record.prefixes}
    event.emit(ctx.session, f"subnetpool.{what}.end", payload, record.project_id, record.id)
