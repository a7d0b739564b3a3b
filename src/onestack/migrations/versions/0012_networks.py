"""Networks, subnets and ports, and what each host must have of them."""

revision = "0012_networks"
down_revision = "0011_agents"


def upgrade() -> None:
    """Make the tables."""


def downgrade() -> None:
    """Drop the tables."""
