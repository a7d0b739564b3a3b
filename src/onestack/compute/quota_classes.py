"""Quota classes: the limits of everybody who is of a class; everybody is of `default`."""

from typing import Annotated

import msgspec

from onestack.compute import quotas, rules
from onestack.compute.quota_sets import FILES, QuotaUpdate, given
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import UNSET, Shape, UnsetType, since, until

api = Operations("quota classes")

NETWORK = until("2.49")
GROUPS = since("2.50")


class ClassView(Shape):
    """Limits by resource."""

    instances: int
    cores: int
    ram: int
    metadata_items: int
    key_pairs: int
    server_groups: Annotated[int, GROUPS]
    server_group_members: Annotated[int, GROUPS]
    injected_files: Annotated[int, FILES]
    injected_file_content_bytes: Annotated[int, FILES]
    injected_file_path_bytes: Annotated[int, FILES]
    fixed_ips: Annotated[int, NETWORK]
    floating_ips: Annotated[int, NETWORK]
    security_groups: Annotated[int, NETWORK]
    security_group_rules: Annotated[int, NETWORK]
    id: str | UnsetType = UNSET


@api.get(
    "/v2.1/os-quota-class-sets/{name}",
    rules.rule("os-quota-class-sets:show"),
    key="quota_class_set",
)
def show(ctx: Context, name: str) -> ClassView:
    """Show the limits of a class."""
    return msgspec.convert({"id": name, **quotas.limits_of_class(ctx.session, name)}, ClassView)


@api.put(
    "/v2.1/os-quota-class-sets/{name}",
    rules.rule("os-quota-class-sets:update"),
    key="quota_class_set",
)
def update(ctx: Context, name: str, body: QuotaUpdate) -> ClassView:
    """Set limits of a class."""
    quotas.keep(ctx.session, quotas.class_scope(name), given(body))
    ctx.session.flush()
    return msgspec.convert(quotas.limits_of_class(ctx.session, name), ClassView)
