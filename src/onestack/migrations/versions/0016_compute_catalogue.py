"""Flavours, key pairs, groups and aggregates."""

import sqlalchemy as sa
from alembic import op

revision = "0016_compute_catalogue"
down_revision = "0015_servers"


def upgrade() -> None:
    """Make the tables."""
    _flavors()
    _keypairs()
    _groups()
    _hosts()
    _quotas()


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "scheduling_decisions",
        "compute_quotas",
        "compute_nodes",
        "aggregate_hosts",
        "aggregates",
        "server_group_members",
        "server_groups",
        "keypairs",
        "flavor_access",
        "flavor_extra_specs",
        "flavors",
    ):
        op.drop_table(table)


def _flavors() -> None:
    op.create_table(
        "flavors",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("vcpus", sa.Integer, nullable=False),
        sa.Column("memory_mb", sa.Integer, nullable=False),
        sa.Column("root_gb", sa.Integer, nullable=False),
        sa.Column("ephemeral_gb", sa.Integer, nullable=False),
        sa.Column("swap_mb", sa.Integer, nullable=False),
        sa.Column("rxtx_factor", sa.Double, nullable=False),
        sa.Column("is_public", sa.Boolean, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_flavors"),
        sa.UniqueConstraint("name", name="uq_flavors_name"),
    )
    op.create_table(
        "flavor_extra_specs",
        sa.Column("flavor_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("flavor_id", "name", name="pk_flavor_extra_specs"),
        _belongs("flavor_extra_specs", "flavor_id", "flavors"),
    )
    op.create_table(
        "flavor_access",
        sa.Column("flavor_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("flavor_id", "project_id", name="pk_flavor_access"),
        _belongs("flavor_access", "flavor_id", "flavors"),
    )
    op.create_index("ix_flavor_access_project_id", "flavor_access", ["project_id"])


def _keypairs() -> None:
    op.create_table(
        "keypairs",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keypairs"),
        sa.UniqueConstraint("user_id", "name", name="uq_keypairs_user_id_name"),
    )


def _groups() -> None:
    op.create_table(
        "server_groups",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("rules", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_server_groups"),
    )
    op.create_index("ix_server_groups_project_id", "server_groups", ["project_id"])
    op.create_table(
        "server_group_members",
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("group_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("server_id", name="pk_server_group_members"),
        _belongs("server_group_members", "group_id", "server_groups"),
    )
    op.create_index("ix_server_group_members_group_id", "server_group_members", ["group_id"])


def _hosts() -> None:
    op.create_table(
        "aggregates",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("properties", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_aggregates"),
        sa.UniqueConstraint("uuid", name="uq_aggregates_uuid"),
        sa.UniqueConstraint("name", name="uq_aggregates_name"),
    )
    op.create_table(
        "aggregate_hosts",
        sa.Column("aggregate_id", sa.Integer, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("aggregate_id", "host", name="pk_aggregate_hosts"),
        _belongs("aggregate_hosts", "aggregate_id", "aggregates"),
    )
    op.create_index("ix_aggregate_hosts_host", "aggregate_hosts", ["host"])
    op.create_table(
        "compute_nodes",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("service_id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("hypervisor_type", sa.Text, nullable=False),
        sa.Column("hypervisor_version", sa.Integer, nullable=False),
        sa.Column("vcpus", sa.Integer, nullable=False),
        sa.Column("memory_mb", sa.Integer, nullable=False),
        sa.Column("disk_gb", sa.Integer, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("architecture", sa.Text, nullable=False),
        sa.Column("cpu_info", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_compute_nodes"),
        sa.UniqueConstraint("id", name="uq_compute_nodes_id"),
        sa.UniqueConstraint("service_id", name="uq_compute_nodes_service_id"),
        sa.UniqueConstraint("host", name="uq_compute_nodes_host"),
    )


def _quotas() -> None:
    op.create_table(
        "compute_quotas",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("most", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("scope", "resource", name="pk_compute_quotas"),
    )
    op.create_table(
        "scheduling_decisions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=True),
        sa.Column("decided_at", sa.DateTime, nullable=False),
        sa.Column("host", sa.Text, nullable=True),
        sa.Column("verdicts", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scheduling_decisions"),
    )
    op.create_index("ix_scheduling_decisions_server_id", "scheduling_decisions", ["server_id"])
    op.create_index("ix_scheduling_decisions_decided_at", "scheduling_decisions", ["decided_at"])


def _belongs(table: str, name: str, owner: str) -> sa.ForeignKeyConstraint:
    """A foreign key to the id of the owner, whose end is the row's end too."""
    return sa.ForeignKeyConstraint(
        [name], [f"{owner}.id"], name=f"fk_{table}_{name}", ondelete="CASCADE"
    )
