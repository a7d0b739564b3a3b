"""Roles and assignments."""

import sqlalchemy as sa
from alembic import op

revision = "0003_roles"
down_revision = "0002_people"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "roles",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_roles"),
    )
    op.create_index("uq_roles_name", "roles", ["domain_id", "name"], unique=True)
    op.create_table(
        "assignments",
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("target_kind", sa.Text, nullable=False),
        sa.Column("target_id", sa.Text, nullable=False),
        sa.Column("role_id", sa.Text, nullable=False),
        sa.Column("inherited", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint(
            "actor_kind",
            "actor_id",
            "target_kind",
            "target_id",
            "role_id",
            "inherited",
            name="pk_assignments",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name="fk_assignments_role_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_assignments_actor_id", "assignments", ["actor_id"])
    op.create_index("ix_assignments_role_id", "assignments", ["role_id"])
    op.create_index("ix_assignments_target_id", "assignments", ["target_id"])
    op.create_table(
        "implied_roles",
        sa.Column("prior_role_id", sa.Text, nullable=False),
        sa.Column("implied_role_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("prior_role_id", "implied_role_id", name="pk_implied_roles"),
        sa.ForeignKeyConstraint(
            ["implied_role_id"],
            ["roles.id"],
            name="fk_implied_roles_implied_role_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["prior_role_id"],
            ["roles.id"],
            name="fk_implied_roles_prior_role_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_implied_roles_implied_role_id", "implied_roles", ["implied_role_id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("implied_roles")
    op.drop_table("assignments")
    op.drop_table("roles")
