"""Limits: what a project may have, and what it has, as tenants ask for it."""

from typing import Annotated

from onestack.compute import quotas, rules
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape, field, until

api = Operations("limits")

OTHERS = rules.rule("limits:other_project")
NETWORK = until("2.35")
IMAGES = until("2.38")
FILES = until("2.56")


class LimitsQuery(Shape):
    """Of which project; of the token's own unless it is named."""

    tenant_id: str | None = None


class Absolute(Shape):
    """Limits and use."""

    instances: int = field(name="maxTotalInstances")
    cores: int = field(name="maxTotalCores")
    ram: int = field(name="maxTotalRAMSize")
    key_pairs: int = field(name="maxTotalKeypairs")
    metadata_items: int = field(name="maxServerMeta")
    server_groups: int = field(name="maxServerGroups")
    server_group_members: int = field(name="maxServerGroupMembers")
    image_metadata: Annotated[int, IMAGES] = field(name="maxImageMeta")
    injected_files: Annotated[int, FILES] = field(name="maxPersonality")
    injected_bytes: Annotated[int, FILES] = field(name="maxPersonalitySize")
    floating_ips: Annotated[int, NETWORK] = field(name="maxTotalFloatingIps")
    security_groups: Annotated[int, NETWORK] = field(name="maxSecurityGroups")
    security_group_rules: Annotated[int, NETWORK] = field(name="maxSecurityGroupRules")
    used_instances: int = field(name="totalInstancesUsed")
    used_cores: int = field(name="totalCoresUsed")
    used_ram: int = field(name="totalRAMUsed")
    used_server_groups: int = field(name="totalServerGroupsUsed")
    used_floating_ips: Annotated[int, NETWORK] = field(name="totalFloatingIpsUsed")
    used_security_groups: Annotated[int, NETWORK] = field(name="totalSecurityGroupsUsed")


class LimitsView(Shape):
    """Limits; there are none of the rate of requests."""

    absolute: Absolute
    rate: list[str] = []


@api.get("/v2.1/limits", rules.rule("limits", rules.ANYONE), key="limits")
def show(ctx: Context, query: LimitsQuery) -> LimitsView:
    """Show what a project may have, and what it has."""
    project_id = query.tenant_id or ctx.caller.project_id or ""
    if project_id != ctx.caller.project_id:
        ctx.allow({"project_id": project_id}, rule=OTHERS)
    most = quotas.limits_of(ctx.session, project_id)
    used = quotas.counted(ctx.session, project_id)
    absolute = Absolute(
        instances=most["instances"],
        cores=most["cores"],
        ram=most["ram"],
        key_pairs=most["key_pairs"],
        metadata_items=most["metadata_items"],
        server_groups=most["server_groups"],
        server_group_members=most["server_group_members"],
        image_metadata=most["metadata_items"],
        injected_files=most["injected_files"],
        injected_bytes=most["injected_file_content_bytes"],
        floating_ips=most["floating_ips"],
        security_groups=most["security_groups"],
        security_group_rules=most["security_group_rules"],
        used_instances=used["instances"],
        used_cores=used["cores"],
        used_ram=used["ram"],
        used_server_groups=used["server_groups"],
        used_floating_ips=0,
        used_security_groups=0,
    )
    return LimitsView(absolute=absolute)
