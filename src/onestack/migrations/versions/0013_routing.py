"""Routers, floating addresses, security groups, and what belongs to them."""

revision = "0013_routing"
down_revision = "0012_networks"


def upgrade() -> None:
    """Make the tables."""


def downgrade() -> None:
    """Drop the tables."""
