"""Identity providers, protocols, mappings and service providers."""

import sqlalchemy as sa
from alembic import op

revision = "0007_federation"
down_revision = "0006_credentials"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "mappings",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("rules", sa.JSON, nullable=False),
        sa.Column("schema_version", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mappings"),
    )
    op.create_table(
        "service_providers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("auth_url", sa.Text, nullable=False),
        sa.Column("sp_url", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("relay_state_prefix", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_providers"),
    )
    op.create_table(
        "identity_providers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("authorization_ttl", sa.Integer, nullable=True),
        sa.Column("trusted_since", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity_providers"),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["projects.id"],
            name="fk_identity_providers_domain_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_identity_providers_domain_id", "identity_providers", ["domain_id"])
    op.create_table(
        "federation_protocols",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("idp_id", sa.Text, nullable=False),
        sa.Column("mapping_id", sa.Text, nullable=False),
        sa.Column("remote_id_attribute", sa.Text, nullable=True),
        sa.Column("trusted_since", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", "idp_id", name="pk_federation_protocols"),
        sa.ForeignKeyConstraint(
            ["idp_id"],
            ["identity_providers.id"],
            name="fk_federation_protocols_idp_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_federation_protocols_idp_id", "federation_protocols", ["idp_id"])
    op.create_table(
        "remote_ids",
        sa.Column("remote_id", sa.Text, nullable=False),
        sa.Column("idp_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("remote_id", name="pk_remote_ids"),
        sa.ForeignKeyConstraint(
            ["idp_id"], ["identity_providers.id"], name="fk_remote_ids_idp_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_remote_ids_idp_id", "remote_ids", ["idp_id"])


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("remote_ids")
    op.drop_table("federation_protocols")
    op.drop_table("identity_providers")
    op.drop_table("service_providers")
    op.drop_table("mappings")
