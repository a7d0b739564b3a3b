"""What the ground floor keeps: revisions, events and flows."""

import sqlalchemy as sa
from alembic import op

revision = "0001_ground_floor"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _event_subscribers()
    _revisions()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("flow_locks")
    op.drop_table("revisions")
    op.drop_table("flows")
    op.drop_table("events")
    op.drop_table("event_subscribers")


def _event_subscribers() -> None:
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
        "flows",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("preempts", sa.Boolean, nullable=False),
        sa.Column("parent_id", sa.Text, nullable=True),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("state", sa.JSON, nullable=False),
        sa.Column("errand", sa.JSON, nullable=True),
        sa.Column("answer", sa.JSON, nullable=True),
        sa.Column("failure", sa.JSON, nullable=True),
        sa.Column("preempted", sa.JSON, nullable=False),
        sa.Column("due_at", sa.DateTime, nullable=True),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("deadline", sa.DateTime, nullable=True),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_flows"),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["flows.id"], name="fk_flows_parent_id", ondelete="SET NULL"
        ),
    )
    op.create_index("ix_flows_due_at", "flows", ["due_at"])
    op.create_index("ix_flows_parent_id", "flows", ["parent_id"])
    op.create_index("ix_flows_subject", "flows", ["subject"])


def _revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("value", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("topic", name="pk_revisions"),
    )
    op.create_table(
        "flow_locks",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("flow_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_flow_locks"),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["flows.id"], name="fk_flow_locks_flow_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_flow_locks_flow_id", "flow_locks", ["flow_id"])
