"""Agents: who serves which host."""

import sqlalchemy as sa
from alembic import op

revision = "0011_agents"
down_revision = "0010_images"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "agents",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("driver", sa.Text, nullable=False),
        sa.Column("boot", sa.Text, nullable=False),
        sa.Column("description", sa.JSON, nullable=False),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("is_forced_down", sa.Boolean, nullable=False),
        sa.Column("disabled_reason", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("changed_at", sa.DateTime, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agents"),
        sa.UniqueConstraint("host", "kind", name="uq_agents_host_kind"),
    )
    op.create_index("ix_agents_kind", "agents", ["kind"])
    op.create_index("ix_agents_seen_at", "agents", ["seen_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("agents")
