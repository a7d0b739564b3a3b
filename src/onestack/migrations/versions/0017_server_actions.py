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
    op.create_table(
        "migrations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("uuid", sa.Text, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("source_host", sa.Text, nullable=True),
        sa.Column("dest_host", sa.Text, nullable=True),
        sa.Column("dest_address", sa.Text, nullable=True),
        sa.Column("old_flavor", sa.JSON, nullable=False),
        sa.Column("new_flavor", sa.JSON, nullable=False),
        sa.Column("old_state", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_migrations"),
        sa.UniqueConstraint("uuid", name="uq_migrations_uuid"),
    )
    for column in ("server_id", "created_at", "updated_at"):
        op.create_index(f"ix_migrations_{column}", "migrations", [column])
    op.create_table(
        "shelved_servers",
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("image_id", sa.Text, nullable=True),
        sa.Column("shelved_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("server_id", name="pk_shelved_servers"),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name="fk_shelved_servers_server_id", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("shelved_servers", "migrations", "console_tokens"):
        op.drop_table(table)
