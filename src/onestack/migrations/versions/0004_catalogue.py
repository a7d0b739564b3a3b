"""The catalogue, its filters, and policies."""

import sqlalchemy as sa
from alembic import op

revision = "0004_catalogue"
down_revision = "0003_roles"


def upgrade() -> None:
    """Make the tables."""
    _endpoint_groups()
    _endpoints()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("endpoint_filters")
    op.drop_table("policy_associations")
    op.drop_table("endpoints")
    op.drop_table("endpoint_group_filters")
    op.drop_table("services")
    op.drop_table("regions")
    op.drop_table("policies")
    op.drop_table("endpoint_groups")


def _endpoint_groups() -> None:
    op.create_table(
        "endpoint_groups",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("filters", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_endpoint_groups"),
    )
    op.create_table(
        "policies",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("blob", sa.Text, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_policies"),
    )
    op.create_table(
        "regions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("parent_region_id", sa.Text, nullable=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_regions"),
        sa.ForeignKeyConstraint(
            ["parent_region_id"], ["regions.id"], name="fk_regions_parent_region_id"
        ),
    )
    op.create_index("ix_regions_parent_region_id", "regions", ["parent_region_id"])
    op.create_table(
        "services",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_services"),
    )
    op.create_table(
        "endpoint_group_filters",
        sa.Column("endpoint_group_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(
            "endpoint_group_id", "project_id", name="pk_endpoint_group_filters"
        ),
        sa.ForeignKeyConstraint(
            ["endpoint_group_id"],
            ["endpoint_groups.id"],
            name="fk_endpoint_group_filters_endpoint_group_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_endpoint_group_filters_project_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_endpoint_group_filters_project_id", "endpoint_group_filters", ["project_id"]
    )


def _endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("service_id", sa.Text, nullable=False),
        sa.Column("region_id", sa.Text, nullable=True),
        sa.Column("interface", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_endpoints"),
        sa.ForeignKeyConstraint(["region_id"], ["regions.id"], name="fk_endpoints_region_id"),
        sa.ForeignKeyConstraint(
            ["service_id"], ["services.id"], name="fk_endpoints_service_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_endpoints_region_id", "endpoints", ["region_id"])
    op.create_index("ix_endpoints_service_id", "endpoints", ["service_id"])
    op.create_table(
        "policy_associations",
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.Column("service_id", sa.Text, nullable=False),
        sa.Column("region_id", sa.Text, nullable=False),
        sa.Column("policy_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(
            "endpoint_id", "service_id", "region_id", name="pk_policy_associations"
        ),
        sa.ForeignKeyConstraint(
            ["policy_id"],
            ["policies.id"],
            name="fk_policy_associations_policy_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_policy_associations_policy_id", "policy_associations", ["policy_id"])
    op.create_table(
        "endpoint_filters",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("endpoint_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "endpoint_id", name="pk_endpoint_filters"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["endpoints.id"],
            name="fk_endpoint_filters_endpoint_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_endpoint_filters_project_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_endpoint_filters_endpoint_id", "endpoint_filters", ["endpoint_id"])
