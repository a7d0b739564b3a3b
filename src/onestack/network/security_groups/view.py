"""A security group rule as clients see it, by itself and within its group."""

from typing import Any

from onestack.core.shapes import Shape
from onestack.network.security_groups.attributes import normalized
from onestack.network.standard import iso


class RuleView(Shape):
    """One thing that a security group lets through."""

    id: str
    project_id: str
    tenant_id: str
    security_group_id: str
    ethertype: str
    direction: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    normalized_cidr: str | None
    remote_group_id: str | None
    remote_address_group_id: str | None
    belongs_to_default_sg: bool
    description: str
    created_at: str
    updated_at: str
    revision_number: int


def rule_view(row: Any, is_of_default: bool) -> RuleView:
    """A rule as clients see it."""
    return RuleView(
        id=row.id,
        project_id=row.project_id,
        tenant_id=row.project_id,
        security_group_id=row.security_group_id,
        ethertype=row.ethertype,
        direction=row.direction,
        protocol=row.protocol,
        port_range_min=row.port_range_min,
        port_range_max=row.port_range_max,
        remote_ip_prefix=row.remote_ip_prefix,
        normalized_cidr=normalized(row.remote_ip_prefix),
        remote_group_id=row.remote_group_id,
        remote_address_group_id=row.remote_address_group_id,
        belongs_to_default_sg=is_of_default,
        description=row.description,
        created_at=iso(row.created_at),
        updated_at=iso(row.updated_at),
        revision_number=row.revision_number,
    )
