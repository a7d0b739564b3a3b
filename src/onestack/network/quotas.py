"""Quotas: how many networks, ports and so on a project may have."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from sqlalchemy import Select, bindparam, column, delete, func, select, table
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.core import quota
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType
from onestack.network import rules

api = Operations("quotas")

# By resource: the table that is counted, and how many there may be unless a quota says else.
RESOURCES: Mapping[str, tuple[str, int]] = {
    "network": ("networks", 100),
    "subnet": ("subnets", 100),
    "subnetpool": ("subnetpools", -1),
    "port": ("ports", 500),
    "router": ("routers", 10),
    "floatingip": ("floating_ips", 50),
    "rbac_policy": ("rbac_policies", 10),
    "security_group": ("security_groups", 10),
    "security_group_rule": ("security_group_rules", 100),
}
DEFAULTS: dict[str, Any] = {name: limit for name, (_, limit) in RESOURCES.items()}

Limit = Annotated[int, Meta(ge=-1, le=2**31 - 1)]


class QuotaRecord(Record):
    """How many of a resource a project may have, where that is not the default."""

    __tablename__ = "network_quotas"
    topic = "network"

    project_id: Mapped[str] = mapped_column(primary_key=True)
    resource: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]


def _count(table_name: str) -> Select[Any]:
    counted = table(table_name, column("project_id"))
    of_project = counted.c.project_id == bindparam("project_id")
    return select(func.count()).select_from(counted).where(of_project)


_LIMITS = select(QuotaRecord.resource, QuotaRecord.value).where(
    QuotaRecord.project_id == bindparam("project_id")
)
_COUNTS = {name: _count(table_name) for name, (table_name, _) in RESOURCES.items()}


class OverQuota(Conflict):
    message = "Quota exceeded for resources: ['{resource}']."


class QuotaBelowUsage(BadRequest):
    type = "QuotaUsedLimit"
    message = "Quota limit for {resource} is below its usage: {used} are in use."


class TenantQuotaNotFound(NotFound):
    message = "Quota for tenant {project_id} could not be found."


class QuotaBody(Shape, forbid_unknown_fields=True):
    """The quotas to set; what is not named stays."""

    network: Limit | UnsetType = UNSET
    subnet: Limit | UnsetType = UNSET
    subnetpool: Limit | UnsetType = UNSET
    port: Limit | UnsetType = UNSET
    router: Limit | UnsetType = UNSET
    floatingip: Limit | UnsetType = UNSET
    rbac_policy: Limit | UnsetType = UNSET
    security_group: Limit | UnsetType = UNSET
    security_group_rule: Limit | UnsetType = UNSET
    check_limit: bool = False
    force: bool = True  # what happens unless `check_limit` says else
    tenant_id: str | None = None
    project_id: str | None = None


class QuotaView(Shape):
    """How many of each resource a project may have; -1 is any number."""

    network: int
    subnet: int
    subnetpool: int
    port: int
    router: int
    floatingip: int
    rbac_policy: int
    security_group: int
    security_group_rule: int
    project_id: str | UnsetType = UNSET
    tenant_id: str | UnsetType = UNSET


class UsageView(Shape):
    """How many of a resource a project may have, and has."""

    limit: int
    used: int
    reserved: int = 0


class DetailsView(Shape):
    """What a project may have, and has, of each resource."""

    network: UsageView
    subnet: UsageView
    subnetpool: UsageView
    port: UsageView
    router: UsageView
    floatingip: UsageView
    rbac_policy: UsageView
    security_group: UsageView
    security_group_rule: UsageView


class TenantView(Shape):
    """The project that the caller works for."""

    tenant_id: str | None
    project_id: str | None


GET_QUOTA = rules.rule("get_quota", rules.READ)


@api.get("/v2.0/quotas", rules.rule("get_quotas", rules.ADMIN), key="quotas")
def index(ctx: Context) -> Page[QuotaView]:
    """List the projects whose quotas are not the defaults."""
    ctx.allow()
    found: dict[str, dict[str, int]] = {}
    for each in ctx.session.scalars(select(QuotaRecord).order_by(QuotaRecord.project_id)):
        found.setdefault(each.project_id, {})[each.resource] = each.value
    return Page(
        [
            QuotaView(**(DEFAULTS | own), project_id=project_id, tenant_id=project_id)
            for project_id, own in found.items()
        ]
    )


@api.get("/v2.0/quotas/tenant", rules.rule("get_own_project", rules.ANYONE), key="tenant")
def tenant(ctx: Context) -> TenantView:
    """Show which project the caller works for."""
    ctx.allow()
    return TenantView(tenant_id=ctx.caller.project_id, project_id=ctx.caller.project_id)


@api.get("/v2.0/quotas/project", rules.rule("get_own_project", rules.ANYONE), key="project")
def project(ctx: Context) -> TenantView:
    """Show which project the caller works for."""
    return tenant(ctx)


@api.get("/v2.0/quotas/{project_id}", GET_QUOTA, key="quota")
def show(ctx: Context, project_id: str) -> QuotaView:
    """Show a project's quotas."""
    ctx.allow()
    return QuotaView(**limits(ctx.session, project_id))


@api.get("/v2.0/quotas/{project_id}/default", GET_QUOTA, key="quota")
def default(ctx: Context, project_id: str) -> QuotaView:
    """Show the quotas of projects that have none of their own."""
    ctx.allow()
    return QuotaView(**DEFAULTS)


@api.get("/v2.0/quotas/{project_id}/details.json", GET_QUOTA, key="quota")
def details(ctx: Context, project_id: str) -> DetailsView:
    """Show what a project may have, and has."""
    ctx.allow()
    allowed = limits(ctx.session, project_id)
    used = usage(ctx.session, project_id, RESOURCES)
    return DetailsView(
        **{name: UsageView(limit=allowed[name], used=used[name]) for name in RESOURCES}
    )


@api.get("/v2.0/quotas/{project_id}/details", GET_QUOTA, key="quota")
def details_too(ctx: Context, project_id: str) -> DetailsView:
    """Show what a project may have, and has."""
    return details(ctx, project_id)


@api.put("/v2.0/quotas/{project_id}", rules.rule("update_quota", rules.ADMIN), key="quota")
def update(ctx: Context, project_id: str, body: QuotaBody) -> QuotaView:
    """Give a project quotas of its own."""
    ctx.allow()
    given = {name: value for name in RESOURCES if (value := getattr(body, name)) is not UNSET}
    if body.check_limit or not body.force:
        _check_usage(ctx.session, project_id, given)
    for name, value in given.items():
        ctx.session.merge(QuotaRecord(project_id=project_id, resource=name, value=value))
    ctx.session.flush()
    return QuotaView(**limits(ctx.session, project_id))


@api.delete("/v2.0/quotas/{project_id}", rules.rule("delete_quota", rules.ADMIN))
def reset(ctx: Context, project_id: str) -> None:
    """Let the defaults count for a project again."""
    ctx.allow()
    gone = ctx.session.execute(delete(QuotaRecord).where(QuotaRecord.project_id == project_id))
    if not gone.rowcount:  # type: ignore[attr-defined]
        raise TenantQuotaNotFound(project_id=project_id[:64])


def check(session: Session, project_id: str | None, wanted: Mapping[str, int]) -> None:
    """Let the session add so many of each resource to a project, or raise `OverQuota`.

    What belongs to no project is not bounded.
    """
    if not project_id:
        return
    allowed = limits(session, project_id)
    usage = _usage_of(project_id)
    quota.check(session, f"network:{project_id}", allowed, usage, wanted, OverQuota)


def limits(session: Session, project_id: str) -> dict[str, Any]:
    """How many of each resource a project may have."""
    own = session.connection().execute(_LIMITS, {"project_id": project_id})
    return DEFAULTS | {row.resource: row.value for row in own}


def usage(session: Session, project_id: str, names: Iterable[str]) -> dict[str, int]:
    """How many of each resource a project has."""
    return _usage_of(project_id).counted(session, names)


def _usage_of(project_id: str) -> quota.Usage:
    return quota.Usage(_COUNTS, {"project_id": project_id})


def _check_usage(session: Session, project_id: str, given: Mapping[str, int]) -> None:
    used = usage(session, project_id, given) if given else {}
    for name, value in given.items():
        if value != quota.UNLIMITED and value < used[name]:
            raise QuotaBelowUsage(resource=name, used=used[name])
