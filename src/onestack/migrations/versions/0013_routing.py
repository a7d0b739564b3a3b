"""Routers, floating addresses, security groups, and what belongs to them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013_routing"
down_revision = "0012_networks"


def upgrade() -> None:
    """Make the tables."""
    _quotas()
    _security_groups()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("port_security_groups")
    op.drop_table("security_group_rules")
    op.drop_table("security_groups")
    op.drop_table("network_quotas")


def _quotas() -> None:
    op.create_table(
        "network_quotas",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name="pk_network_quotas"),
    )


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
    )  # fmt: skip
    for name in ("security_group_id", "project_id", "remote_group_id"):
        op.create_index(f"ix_security_group_rules_{name}", "security_group_rules", [name])
    op.create_table(
        "port_security_groups",
        sa.Column("port_id", sa.Text, nullable=False),
        sa.Column("security_group_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(
            "port_id", "security_group_id", name="pk_port_security_groups"
        ),
        sa.ForeignKeyConstraint(
            ["security_group_id"], ["security_groups.id"],
            name="fk_port_security_groups_security_group_id",
        ),
    )  # fmt: skip
    op.create_index(
        "ix_port_security_groups_security_group_id", "port_security_groups", ["security_group_id"]
    )


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
