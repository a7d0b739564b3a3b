"""Flavours, key pairs, groups and aggregates."""

revision = "0016_compute_catalogue"
down_revision = "0015_servers"


def upgrade() -> None:
    """Make the tables."""


def downgrade() -> None:
    """Drop the tables."""
