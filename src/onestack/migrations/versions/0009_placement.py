"""Resource providers, what they have, and who uses it."""

import sqlalchemy as sa
from alembic import op

revision = "0009_placement"
down_revision = "0008_limits"


def upgrade() -> None:
    """Make the tables."""
    _consumers()
    _allocations()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("resource_provider_traits")
    op.drop_table("resource_provider_aggregates")
    op.drop_table("inventories")
    op.drop_table("allocations")
    op.drop_table("traits")
    op.drop_table("resource_providers")
    op.drop_table("resource_classes")
    op.drop_table("consumers")


def _consumers() -> None:
    op.create_table(
        "consumers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_consumers"),
    )
    op.create_index("ix_consumers_owner", "consumers", ["project_id", "user_id"])
    op.create_table(
        "resource_classes",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_resource_classes"),
    )
    op.create_table(
        "resource_providers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Text, nullable=True),
        sa.Column("root_id", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("changed_in", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_resource_providers"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["resource_providers.id"], name="fk_resource_providers_parent_id"
        ),
        sa.UniqueConstraint("name", name="uq_resource_providers_name"),
    )
    op.create_index("ix_resource_providers_changed_in", "resource_providers", ["changed_in"])
    op.create_index("ix_resource_providers_parent_id", "resource_providers", ["parent_id"])
    op.create_index("ix_resource_providers_root_id", "resource_providers", ["root_id"])
    op.create_table(
        "traits",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_traits"),
    )


def _allocations() -> None:
    op.create_table(
        "allocations",
        sa.Column("consumer_id", sa.Text, nullable=False),
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("resource_class", sa.Text, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint(
            "consumer_id", "provider_id", "resource_class", name="pk_allocations"
        ),
        sa.CheckConstraint("used > 0", name="ck_allocations_used"),
        sa.ForeignKeyConstraint(
            ["consumer_id"], ["consumers.id"], name="fk_allocations_consumer_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["resource_providers.id"], name="fk_allocations_provider_id"
        ),
    )
    op.create_index("ix_allocations_resource_class", "allocations", ["resource_class"])
    op.create_index("ix_allocations_use", "allocations", ["provider_id", "resource_class", "used"])
    op.create_table(
        "inventories",
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("resource_class", sa.Text, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("min_unit", sa.Integer, nullable=False),
        sa.Column("max_unit", sa.Integer, nullable=False),
        sa.Column("step_size", sa.Integer, nullable=False),
        sa.Column("allocation_ratio", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "resource_class", name="pk_inventories"),
        sa.CheckConstraint("total > 0", name="ck_inventories_total"),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["resource_providers.id"],
            name="fk_inventories_provider_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_inventories_resource_class", "inventories", ["resource_class"])
    op.create_table(
        "resource_provider_aggregates",
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("aggregate_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(
            "provider_id", "aggregate_id", name="pk_resource_provider_aggregates"
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["resource_providers.id"],
            name="fk_resource_provider_aggregates_provider_id",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "resource_provider_traits",
        sa.Column("provider_id", sa.Text, nullable=False),
        sa.Column("trait", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "trait", name="pk_resource_provider_traits"),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["resource_providers.id"],
            name="fk_resource_provider_traits_provider_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_resource_provider_traits_trait", "resource_provider_traits", ["trait"])
