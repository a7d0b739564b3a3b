"""Cutting subnets' prefixes from pools."""

import ipaddress

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.network import ipam, rbac, rules
from onestack.network.attributes import InvalidInput
from onestack.network.subnetpools.record import SubnetPoolRecord
from onestack.network.subnets.record import SubnetRecord


class SubnetPoolNotFound(NotFound):
    message = "Subnet pool {id} could not be found."


class PrefixTooLong(BadRequest):
    type = "MaxPrefixSubnetAllocationError"
    message = (
        "Unable to allocate subnet with prefix length {length}, maximum allowed prefix is {most}."
    )


class PrefixTooShort(BadRequest):
    type = "MinPrefixSubnetAllocationError"
    message = (
        "Unable to allocate subnet with prefix length {length}, minimum allowed prefix is {least}."
    )


class NoPrefixLeft(BadRequest):
    type = "SubnetAllocationError"
    message = (
        "Failed to allocate subnet: Insufficient prefix space to allocate subnet size /{length}."
    )


class PrefixNotInPool(BadRequest):
    type = "SubnetAllocationError"
    message = (
        "Failed to allocate subnet: Cannot allocate requested subnet from the available set of "
        "prefixes."
    )


class PoolQuotaExceeded(Conflict):
    type = "SubnetPoolQuotaExceeded"
    message = "Per-tenant subnet pool prefix quota exceeded."


class PoolAffinity(BadRequest):
    type = "NetworkSubnetPoolAffinityError"
    message = "Subnets hosted on the same network must be allocated from the same subnet pool."


def chosen(
    ctx: Context, pool_id: str | None, version: int, *, wants_default: bool
) -> SubnetPoolRecord | None:
    """The pool that a subnet's prefix comes from, if it comes from one."""
    if pool_id is not None:
        if wants_default:
            raise InvalidInput(
                reason="subnetpool_id and use_default_subnetpool cannot both be specified"
            )
        return usable(ctx, pool_id)
    if not wants_default:
        return None
    default = select(SubnetPoolRecord).where(
        SubnetPoolRecord.is_default, SubnetPoolRecord.ip_version == version
    )
    found = ctx.session.scalar(default)
    if found is None:
        raise InvalidInput(reason=f"No default pool for IPv{version} subnets")
    return found


def usable(ctx: Context, pool_id: str) -> SubnetPoolRecord:
    """A pool that the caller may cut from; nobody else cuts from it until the request is over."""
    record = ctx.session.get(SubnetPoolRecord, pool_id, with_for_update=True)
    if record is None or not is_seen(ctx, record):
        raise SubnetPoolNotFound(id=pool_id[:64])
    return record


def is_seen(ctx: Context, record: SubnetPoolRecord) -> bool:
    """Whether the caller may know of a pool."""
    if record.shared or rules.is_seen(ctx, record.project_id):
        return True
    return bool(rbac.shared_ids(ctx.session, ctx.caller.project_id, [record.id]))


def cut(
    session: Session, pool: SubnetPoolRecord, project_id: str, cidr: str | None, length: int | None
) -> str:
    """A prefix of a pool that no other subnet has."""
    wanted = None if cidr is None else ipaddress.ip_network(cidr, strict=False)
    size = wanted.prefixlen if wanted is not None else length or pool.default_prefixlen
    if size > pool.max_prefixlen:
        raise PrefixTooLong(length=size, most=pool.max_prefixlen)
    if size < pool.min_prefixlen:
        raise PrefixTooShort(length=size, least=pool.min_prefixlen)
    taken = session.execute(
        select(SubnetRecord.cidr, SubnetRecord.project_id).where(
            SubnetRecord.subnetpool_id == pool.id
        )
    ).all()
    _check_quota(pool, size, [row.cidr for row in taken if row.project_id == project_id])
    used = [row.cidr for row in taken]
    if wanted is None:
        found = ipam.free_prefix(pool.prefixes, used, size)
        if found is None:
            raise NoPrefixLeft(length=size)
        return found
    is_inside = any(_is_within(wanted, each) for each in pool.prefixes)
    if not is_inside or any(ipam.overlap(str(wanted), each) for each in used):
        raise PrefixNotInPool
    return str(wanted)


def check_network(session: Session, pool: SubnetPoolRecord, network_id: str) -> None:
    """A network's subnets of one kind come from one pool."""
    others = select(SubnetRecord.subnetpool_id).where(
        SubnetRecord.network_id == network_id, SubnetRecord.ip_version == pool.ip_version
    )
    if any(each != pool.id for each in session.scalars(others)):
        raise PoolAffinity


def _check_quota(pool: SubnetPoolRecord, size: int, own: list[str]) -> None:
    """A pool may bound what each project takes of it: in addresses, or in /64 networks."""
    if pool.default_quota is None:
        return
    bits = 32 if pool.ip_version == 4 else 64

    def amount(length: int) -> int:
        return 1 << max(bits - length, 0)

    used = sum(amount(ipaddress.ip_network(each).prefixlen) for each in own)
    if used + amount(size) > pool.default_quota:
        raise PoolQuotaExceeded


def _is_within(wanted: ipam.Network, prefix: str) -> bool:
    outer = ipaddress.ip_network(prefix)
    same = wanted.version == outer.version
    return same and ipam.overlap(str(wanted), prefix) and wanted.prefixlen >= outer.prefixlen
