"""Quota sets: the limits of a project, of its users, and of everybody, as operators set them."""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from onestack.compute import quotas, rules
from onestack.compute.lenient import Flag, Number, flag, whole
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Shape, UnsetType, until

api = Operations("quota sets")

READ = rules.rule("os-quota-sets:show", rules.READER)
NETWORK = until("2.35")  # when the network's limits left, and
FILES = until("2.56")  # when those of injected files did


class BelowUsage(BadRequest):
    message = (
        "Quota limit {limit} for {resource} must be greater than or equal to already used and "
        "reserved {used}."
    )


class AboveProject(BadRequest):
    message = "Quota limit {limit} for {resource} must be less than or equal to {most}."


class QuotaUpdate(Shape, forbid_unknown_fields=True):
    """The limits to set; -1 is no limit."""

    instances: Number | UnsetType = UNSET
    cores: Number | UnsetType = UNSET
    ram: Number | UnsetType = UNSET
    metadata_items: Number | UnsetType = UNSET
    key_pairs: Number | UnsetType = UNSET
    server_groups: Number | UnsetType = UNSET
    server_group_members: Number | UnsetType = UNSET
    injected_files: Annotated[Number | UnsetType, FILES] = UNSET
    injected_file_content_bytes: Annotated[Number | UnsetType, FILES] = UNSET
    injected_file_path_bytes: Annotated[Number | UnsetType, FILES] = UNSET
    fixed_ips: Annotated[Number | UnsetType, NETWORK] = UNSET
    floating_ips: Annotated[Number | UnsetType, NETWORK] = UNSET
    security_groups: Annotated[Number | UnsetType, NETWORK] = UNSET
    security_group_rules: Annotated[Number | UnsetType, NETWORK] = UNSET


class ProjectUpdate(QuotaUpdate, forbid_unknown_fields=True):
    """The limits to set for a project, or for one of its users."""

    force: Flag | UnsetType = UNSET


class QuotaQuery(Shape):
    """Of which user in the project."""

    user_id: str | None = None


class QuotaView(Shape):
    """Limits by resource."""

    instances: int
    cores: int
    ram: int
    metadata_items: int
    key_pairs: int
    server_groups: int
    server_group_members: int
    injected_files: Annotated[int, FILES]
    injected_file_content_bytes: Annotated[int, FILES]
    injected_file_path_bytes: Annotated[int, FILES]
    fixed_ips: Annotated[int, NETWORK]
    floating_ips: Annotated[int, NETWORK]
    security_groups: Annotated[int, NETWORK]
    security_group_rules: Annotated[int, NETWORK]
    id: str | UnsetType = UNSET


class Use(Shape):
    """A limit, and how much of it is used."""

    limit: int
    in_use: int = 0
    reserved: int = 0


class UsageView(Shape):
    """Limits and use by resource."""

    id: str
    instances: Use
    cores: Use
    ram: Use
    metadata_items: Use
    key_pairs: Use
    server_groups: Use
    server_group_members: Use
    injected_files: Annotated[Use, FILES]
    injected_file_content_bytes: Annotated[Use, FILES]
    injected_file_path_bytes: Annotated[Use, FILES]
    fixed_ips: Annotated[Use, NETWORK]
    floating_ips: Annotated[Use, NETWORK]
    security_groups: Annotated[Use, NETWORK]
    security_group_rules: Annotated[Use, NETWORK]


@api.get("/v2.1/os-quota-sets/{project_id}", READ, key="quota_set")
def show(ctx: Context, project_id: str, query: QuotaQuery) -> QuotaView:
    """Show the limits of a project, or of one of its users."""
    ctx.allow({"project_id": project_id})
    return _named(project_id, _limits(ctx, project_id, query.user_id))


@api.get(
    "/v2.1/os-quota-sets/{project_id}/detail",
    rules.rule("os-quota-sets:detail", rules.READER),
    key="quota_set",
)
def detail(ctx: Context, project_id: str, query: QuotaQuery) -> UsageView:
    """Show the limits of a project, or of one of its users, with how much of them is used."""
    ctx.allow({"project_id": project_id})
    used = quotas.counted(ctx.session, project_id, query.user_id)
    limits = _limits(ctx, project_id, query.user_id)
    uses = {name: Use(limit=most, in_use=used.get(name, 0)) for name, most in limits.items()}
    return UsageView(id=project_id, **uses)


@api.get(
    "/v2.1/os-quota-sets/{project_id}/defaults",
    rules.rule("os-quota-sets:defaults", rules.ANYONE),
    key="quota_set",
)
def defaults(ctx: Context, project_id: str) -> QuotaView:
    """Show the limits that a project has when nobody sets any."""
    return _named(project_id, quotas.defaults(ctx.session))


@api.put("/v2.1/os-quota-sets/{project_id}", rules.rule("os-quota-sets:update"), key="quota_set")
def update(ctx: Context, project_id: str, body: ProjectUpdate, query: QuotaQuery) -> QuotaView:
    """Set limits of a project, or of one of its users."""
    limits = given(body)
    is_forced = body.force is not UNSET and flag(body.force)
    if query.user_id is not None:
        _check_project(quotas.limits_of(ctx.session, project_id), limits)
    if not is_forced:
        _check_usage(quotas.counted(ctx.session, project_id, query.user_id), limits)
    quotas.keep(ctx.session, _scope(project_id, query.user_id), limits)
    ctx.session.flush()
    return msgspec.convert(_limits(ctx, project_id, query.user_id), QuotaView)


@api.delete("/v2.1/os-quota-sets/{project_id}", rules.rule("os-quota-sets:delete"), status=202)
def delete(ctx: Context, project_id: str, query: QuotaQuery) -> None:
    """Let a project, or one of its users, have the limits of everybody again."""
    quotas.forget(ctx.session, _scope(project_id, query.user_id))


def given(body: QuotaUpdate) -> dict[str, int]:
    """The limits that a body sets."""
    names = (each.name for each in msgspec.structs.fields(QuotaUpdate))
    values = ((name, getattr(body, name)) for name in names)
    return {name: whole(value, name, -1) for name, value in values if value is not UNSET}


def _named(project_id: str, limits: Mapping[str, int]) -> QuotaView:
    return msgspec.convert({"id": project_id, **limits}, QuotaView)


def _limits(ctx: Context, project_id: str, user_id: str | None) -> dict[str, int]:
    limits = quotas.limits_of(ctx.session, project_id)
    if user_id is not None:
        limits |= quotas.limits_of_user(ctx.session, project_id, user_id)
    return limits


def _check_usage(used: Mapping[str, int], limits: Mapping[str, int]) -> None:
    for name, most in limits.items():
        if 0 <= most < used.get(name, 0):
            raise BelowUsage(limit=most, resource=name, used=used[name])


def _check_project(project: Mapping[str, int], limits: Mapping[str, int]) -> None:
    """Refuse to let a user have more than the project."""
    for name, most in limits.items():
        whole_limit = project[name]
        if whole_limit != -1 and (most == -1 or most > whole_limit):
            raise AboveProject(limit=most, resource=name, most=whole_limit)


def _scope(project_id: str, user_id: str | None) -> str:
    if user_id is None:
        return quotas.project_scope(project_id)
    return quotas.user_scope(project_id, user_id)
