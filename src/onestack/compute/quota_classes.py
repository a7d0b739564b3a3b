"""Quota classes: the limits of everybody who is of a class; everybody is of `default`."""

from typing import Annotated

import msgspec

from onestack.compute import quotas, rules
from onestack.compute.quota_sets import QuotaUpdate, QuotaView, given
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import since, until

api = Operations("quota classes")

NETWORK = until("2.49")
GROUPS = since("2.50")


class ClassView(QuotaView):
    """Limits by resource: those of a project, but for when some of them came and went."""

    server_groups: Annotated[int, GROUPS]
    server_group_members: Annotated[int, GROUPS]
    fixed_ips: Annotated[int, NETWORK]
    floating_ips: Annotated[int, NETWORK]
    security_groups: Annotated[int, NETWORK]
    security_group_rules: Annotated[int, NETWORK]


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
