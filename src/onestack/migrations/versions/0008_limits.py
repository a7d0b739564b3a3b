"""Limits and the settings of domains."""

import sqlalchemy as sa
from alembic import op

revision = "0008_limits"
down_revision = "0007_federation"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "domain_config",
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("option_group", sa.Text, nullable=False),
        sa.Column("option_name", sa.Text, nullable=False),
        sa.Column("value", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint(
            "domain_id", "option_group", "option_name", name="pk_domain_config"
        ),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["projects.id"], name="fk_domain_config_domain_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "registered_limits",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("service_id", sa.Text, nullable=False),
        sa.Column("region_id", sa.Text, nullable=False),
        sa.Column("resource_name", sa.Text, nullable=False),
        sa.Column("default_limit", sa.Integer, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_registered_limits"),
        sa.ForeignKeyConstraint(
            ["service_id"],
            ["services.id"],
            name="fk_registered_limits_service_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "service_id",
            "region_id",
            "resource_name",
            name="uq_registered_limits_service_id_region_id_resource_name",
        ),
    )
    op.create_table(
        "limits",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text, nullable=False),
        sa.Column("registered_limit_id", sa.Text, nullable=False),
        sa.Column("resource_limit", sa.Integer, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_limits"),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["projects.id"], name="fk_limits_owner_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["registered_limit_id"],
            ["registered_limits.id"],
            name="fk_limits_registered_limit_id",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint(
            "owner_id", "registered_limit_id", name="uq_limits_owner_id_registered_limit_id"
        ),
    )
    op.create_index("ix_limits_registered_limit_id", "limits", ["registered_limit_id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("limits")
    op.drop_table("registered_limits")
    op.drop_table("domain_config")
