"""Servers, and what happened to them."""

revision = "0015_servers"
down_revision = "0014_volumes"


def upgrade() -> None:
    """Make the tables."""


def downgrade() -> None:
    """Drop the tables."""
