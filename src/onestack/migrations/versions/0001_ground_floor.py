"""What the ground floor keeps: revisions, events and flows."""

import sqlalchemy as sa
from alembic import op

revision = "0001_ground_floor"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "event_subscribers",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_event_subscribers"),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("project_id", sa.Text, nullable=True),
        sa.Column("resource", sa.Text, nullable=True),
        sa.Column("request_id", sa.Text, nullable=True),
        sa.Column("emitted_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.UniqueConstraint("position", name="uq_events_position"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_emitted_at", "events", ["emitted_at"])
    op.create_index("ix_events_project_id", "events", ["project_id"])
    op.create_index("ix_events_resource", "events", ["resource"])
    op.create_table(
        "revisions",
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_revisions"),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("revisions")
    op.drop_table("events")
    op.drop_table("event_subscribers")
