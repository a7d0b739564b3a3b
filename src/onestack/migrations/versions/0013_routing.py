"""Routers, floating addresses, security groups, and what belongs to them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013_routing"
down_revision = "0012_networks"


def upgrade() -> None:
    """Make the tables."""
    _quotas()
    _address_groups()
    _security_groups()
    _routers()
    _floating_ips()
    _rbac_policies()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("rbac_policies", "port_forwardings", "floating_ips", "routers",
                 "port_security_groups", "security_group_rules", "security_groups",
                 "address_groups", "network_quotas"):  # fmt: skip
        op.drop_table(name)


def _quotas() -> None:
    op.create_table(
        "network_quotas",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name="pk_network_quotas"),
    )


def _address_groups() -> None:
    op.create_table(
        "address_groups",
        *_standard(),
        sa.Column("addresses", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_address_groups"),
    )
    op.create_index("ix_address_groups_project_id", "address_groups", ["project_id"])


def _security_groups() -> None:
    op.create_table(
        "security_groups",
        *_standard(),
        sa.Column("stateful", sa.Boolean, nullable=False),
        sa.Column("default_of", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_security_groups"),
        sa.UniqueConstraint("default_of", name="uq_security_groups_default_of"),
    )
    op.create_index("ix_security_groups_project_id", "security_groups", ["project_id"])
    op.create_table(
        "security_group_rules",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("security_group_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("ethertype", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=True),
        sa.Column("port_range_min", sa.Integer, nullable=True),
        sa.Column("port_range_max", sa.Integer, nullable=True),
        sa.Column("remote_ip_prefix", sa.Text, nullable=True),
        sa.Column("remote_group_id", sa.Text, nullable=True),
        sa.Column("remote_address_group_id", sa.Text, nullable=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("revision_number", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_security_group_rules"),
        sa.ForeignKeyConstraint(
            ["security_group_id"], ["security_groups.id"],
            name="fk_security_group_rules_security_group_id", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["remote_group_id"], ["security_groups.id"],
            name="fk_security_group_rules_remote_group_id", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["remote_address_group_id"], ["address_groups.id"],
            name="fk_security_group_rules_remote_address_group_id",
        ),
    )  # fmt: skip
    for name in ("security_group_id", "project_id", "remote_group_id",
                 "remote_address_group_id"):  # fmt: skip
        op.create_index(f"ix_security_group_rules_{name}", "security_group_rules", [name])
    op.create_table(
        "port_security_groups",
        sa.Column("port_id", sa.Text, nullable=False),
        sa.Column("security_group_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(
            "port_id", "security_group_id", name="pk_port_security_groups"
        ),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name="fk_port_security_groups_port_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["security_group_id"], ["security_groups.id"],
            name="fk_port_security_groups_security_group_id",
        ),
    )  # fmt: skip
    op.create_index(
        "ix_port_security_groups_security_group_id", "port_security_groups", ["security_group_id"]
    )


def _routers() -> None:
    op.create_table(
        "routers",
        *_standard(),
        sa.Column("admin_state_up", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("gateway_port_id", sa.Text, nullable=True),
        sa.Column("gateway_network_id", sa.Text, nullable=True),
        sa.Column("enable_snat", sa.Boolean, nullable=False),
        sa.Column("routes", sa.JSON, nullable=False),
        sa.Column("availability_zone_hints", sa.JSON, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_routers"),
        sa.UniqueConstraint("gateway_port_id", name="uq_routers_gateway_port_id"),
        sa.ForeignKeyConstraint(
            ["gateway_port_id"], ["ports.id"], name="fk_routers_gateway_port_id"
        ),
        sa.ForeignKeyConstraint(
            ["gateway_network_id"], ["networks.id"], name="fk_routers_gateway_network_id"
        ),
    )
    for name in ("project_id", "gateway_network_id", "host"):
        op.create_index(f"ix_routers_{name}", "routers", [name])


def _floating_ips() -> None:
    op.create_table(
        "floating_ips",
        *_standard(),
        sa.Column("floating_network_id", sa.Text, nullable=False),
        sa.Column("floating_ip_address", sa.Text, nullable=False),
        sa.Column("floating_port_id", sa.Text, nullable=False),
        sa.Column("fixed_port_id", sa.Text, nullable=True),
        sa.Column("fixed_ip_address", sa.Text, nullable=True),
        sa.Column("router_id", sa.Text, nullable=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("dns_name", sa.Text, nullable=False),
        sa.Column("dns_domain", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_floating_ips"),
        sa.UniqueConstraint("floating_port_id", name="uq_floating_ips_floating_port_id"),
        sa.UniqueConstraint(
            "fixed_port_id", "fixed_ip_address",
            name="uq_floating_ips_fixed_port_id_fixed_ip_address",
        ),
        *(
            sa.ForeignKeyConstraint([name], [target], name=f"fk_floating_ips_{name}")
            for name, target in (
                ("floating_network_id", "networks.id"),
                ("floating_port_id", "ports.id"),
                ("fixed_port_id", "ports.id"),
                ("router_id", "routers.id"),
            )
        ),
    )  # fmt: skip
    for name in ("project_id", "floating_network_id", "floating_ip_address", "fixed_ip_address",
                 "router_id"):  # fmt: skip
        op.create_index(f"ix_floating_ips_{name}", "floating_ips", [name])
    op.create_table(
        "port_forwardings",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("floating_ip_id", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("external_port", sa.Integer, nullable=False),
        sa.Column("internal_port_id", sa.Text, nullable=False),
        sa.Column("internal_ip_address", sa.Text, nullable=False),
        sa.Column("internal_port", sa.Integer, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_port_forwardings"),
        sa.UniqueConstraint(
            "floating_ip_id", "protocol", "external_port",
            name="uq_port_forwardings_floating_ip_id_protocol_external_port",
        ),
        sa.ForeignKeyConstraint(
            ["floating_ip_id"], ["floating_ips.id"],
            name="fk_port_forwardings_floating_ip_id", ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["internal_port_id"], ["ports.id"], name="fk_port_forwardings_internal_port_id"
        ),
    )  # fmt: skip
    op.create_index(
        "ix_port_forwardings_internal_port_id", "port_forwardings", ["internal_port_id"]
    )


def _rbac_policies() -> None:
    op.create_table(
        "rbac_policies",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("object_type", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("target_project", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rbac_policies"),
        sa.UniqueConstraint(
            "object_id", "action", "target_project",
            name="uq_rbac_policies_object_id_action_target_project",
        ),
    )  # fmt: skip
    for name in ("project_id", "target_project"):
        op.create_index(f"ix_rbac_policies_{name}", "rbac_policies", [name])


def _standard() -> list[sa.Column[Any]]:
    """The columns that things of a network share."""
    return [
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("revision_number", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
    ]
