"""Networks, subnets and ports, and what each host must have of them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012_networks"
down_revision = "0011_agents"


def upgrade() -> None:
    """Make the tables."""
    _networks()
    _pools()
    _subnets()
    _ports()
    _wirings()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("auto_allocated_topologies", "dhcp_servers", "wirings", "switch_hosts",
                 "port_addresses", "ports", "subnets", "subnetpools", "address_scopes",
                 "networks"):  # fmt: skip
        op.drop_table(name)


def _standard() -> list[sa.Column[Any]]:
    columns: list[sa.Column[Any]] = [
        sa.Column(name, sa.Text, nullable=False)
        for name in ("id", "project_id", "name", "description", "tags")
    ]
    return [
        *columns,
        sa.Column("revision_number", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
    ]


def _networks() -> None:
    op.create_table(
        "networks",
        *_standard(),
        sa.Column("admin_state_up", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("external", sa.Boolean, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("mtu", sa.Integer, nullable=False),
        sa.Column("port_security_enabled", sa.Boolean, nullable=False),
        sa.Column("dns_domain", sa.Text, nullable=False),
        sa.Column("availability_zone_hints", sa.JSON, nullable=False),
        sa.Column("network_type", sa.Text, nullable=False),
        sa.Column("physical_network", sa.Text, nullable=True),
        sa.Column("segmentation_id", sa.Integer, nullable=True),
        sa.Column("segment", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_networks"),
        sa.UniqueConstraint("segment", name="uq_networks_segment"),
    )
    op.create_index("ix_networks_project_id", "networks", ["project_id"])


def _pools() -> None:
    op.create_table(
        "address_scopes",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("ip_version", sa.Integer, nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_address_scopes"),
    )
    op.create_index("ix_address_scopes_project_id", "address_scopes", ["project_id"])
    op.create_table(
        "subnetpools",
        *_standard(),
        sa.Column("ip_version", sa.Integer, nullable=False),
        sa.Column("prefixes", sa.JSON, nullable=False),
        sa.Column("min_prefixlen", sa.Integer, nullable=False),
        sa.Column("max_prefixlen", sa.Integer, nullable=False),
        sa.Column("default_prefixlen", sa.Integer, nullable=False),
        sa.Column("default_quota", sa.Integer, nullable=True),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("address_scope_id", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_subnetpools"),
        sa.ForeignKeyConstraint(
            ["address_scope_id"], ["address_scopes.id"], name="fk_subnetpools_address_scope_id"
        ),
    )
    op.create_index("ix_subnetpools_project_id", "subnetpools", ["project_id"])
    op.create_index("ix_subnetpools_address_scope_id", "subnetpools", ["address_scope_id"])


def _subnets() -> None:
    op.create_table(
        "subnets",
        *_standard(),
        sa.Column("network_id", sa.Text, nullable=False),
        sa.Column("ip_version", sa.Integer, nullable=False),
        sa.Column("cidr", sa.Text, nullable=False),
        sa.Column("gateway_ip", sa.Text, nullable=True),
        sa.Column("enable_dhcp", sa.Boolean, nullable=False),
        sa.Column("ipv6_ra_mode", sa.Text, nullable=True),
        sa.Column("ipv6_address_mode", sa.Text, nullable=True),
        sa.Column("allocation_pools", sa.JSON, nullable=False),
        sa.Column("dns_nameservers", sa.JSON, nullable=False),
        sa.Column("host_routes", sa.JSON, nullable=False),
        sa.Column("service_types", sa.JSON, nullable=False),
        sa.Column("dns_publish_fixed_ip", sa.Boolean, nullable=False),
        sa.Column("subnetpool_id", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_subnets"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name="fk_subnets_network_id"),
        sa.ForeignKeyConstraint(
            ["subnetpool_id"], ["subnetpools.id"], name="fk_subnets_subnetpool_id"
        ),
    )
    for column in ("project_id", "network_id", "subnetpool_id"):
        op.create_index(f"ix_subnets_{column}", "subnets", [column])


def _ports() -> None:
    op.create_table(
        "ports",
        *_standard(),
        sa.Column("network_id", sa.Text, nullable=False),
        sa.Column("mac_address", sa.Text, nullable=False),
        sa.Column("admin_state_up", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("device_owner", sa.Text, nullable=False),
        sa.Column("is_made_for_device", sa.Boolean, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("next_host", sa.Text, nullable=False),
        sa.Column("vnic_type", sa.Text, nullable=False),
        sa.Column("binding_profile", sa.JSON, nullable=False),
        sa.Column("port_security_enabled", sa.Boolean, nullable=False),
        sa.Column("allowed_address_pairs", sa.JSON, nullable=False),
        sa.Column("extra_dhcp_opts", sa.JSON, nullable=False),
        sa.Column("dns_name", sa.Text, nullable=False),
        sa.Column("propagate_uplink_status", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ports"),
        sa.UniqueConstraint("network_id", "mac_address", name="uq_ports_network_id_mac_address"),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name="fk_ports_network_id"),
    )
    op.create_index("ix_ports_project_id", "ports", ["project_id"])
    op.create_index("ix_ports_host", "ports", ["host"])
    op.create_index("ix_ports_next_host", "ports", ["next_host"])
    op.create_index("ix_ports_device_id_device_owner", "ports", ["device_id", "device_owner"])
    op.create_table(
        "port_addresses",
        sa.Column("subnet_id", sa.Text, nullable=False),
        sa.Column("ip_address", sa.Text, nullable=False),
        sa.Column("port_id", sa.Text, nullable=False),
        sa.Column("network_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("subnet_id", "ip_address", name="pk_port_addresses"),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnets.id"], name="fk_port_addresses_subnet_id"),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name="fk_port_addresses_port_id", ondelete="CASCADE"
        ),
    )
    for column in ("ip_address", "port_id", "network_id"):
        op.create_index(f"ix_port_addresses_{column}", "port_addresses", [column])


def _wirings() -> None:
    op.create_table(
        "switch_hosts",
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("tunnel_address", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_switch_hosts"),
    )
    op.create_table(
        "wirings",
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("applied", sa.Integer, nullable=False),
        sa.Column("is_gone", sa.Boolean, nullable=False),
        sa.Column("is_pending", sa.Boolean, nullable=False),
        sa.Column("trouble", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("host", "kind", "item_id", name="pk_wirings"),
    )
    op.create_index("ix_wirings_host_is_pending", "wirings", ["host", "is_pending"])
    op.create_index("ix_wirings_kind_item_id", "wirings", ["kind", "item_id"])
    op.create_table(
        "dhcp_servers",
        sa.Column("network_id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("port_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("network_id", name="pk_dhcp_servers"),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name="fk_dhcp_servers_network_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name="fk_dhcp_servers_port_id", ondelete="CASCADE"
        ),
    )
    for column in ("host", "port_id"):
        op.create_index(f"ix_dhcp_servers_{column}", "dhcp_servers", [column])
    op.create_table(
        "auto_allocated_topologies",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("network_id", sa.Text, nullable=False),
        sa.Column("router_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project_id", name="pk_auto_allocated_topologies"),
        sa.ForeignKeyConstraint(
            ["network_id"], ["networks.id"], name="fk_auto_allocated_topologies_network_id",
            ondelete="CASCADE",
        ),
    )  # fmt: skip
