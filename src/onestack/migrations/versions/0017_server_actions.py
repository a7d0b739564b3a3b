"""The tokens of consoles, and servers' ways from host to host."""

import sqlalchemy as sa
from alembic import op

revision = "0017_server_actions"
down_revision = "0016_compute_catalogue"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "console_tokens",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_console_tokens"),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name="fk_console_tokens_server_id", ondelete="CASCADE"
        ),
    )
    for column in ("server_id", "expires_at"):
        op.create_index(f"ix_console_tokens_{column}", "console_tokens", [column])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("console_tokens")
