"""Volumes, snapshots, attachments and types."""

revision = "0014_volumes"
down_revision = "0013_routing"


def upgrade() -> None:
    """Make the tables."""


def downgrade() -> None:
    """Drop the tables."""
