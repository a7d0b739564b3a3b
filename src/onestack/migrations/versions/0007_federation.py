"""Identity providers, protocols, mappings and service providers."""

import sqlalchemy as sa
from alembic import op

revision = "0007_federation"
down_revision = "0006_credentials"


def upgrade() -> None:
    """Make the tables."""
    _mappings()
    _federated_users()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("remote_ids")
    op.drop_table("federation_protocols")
    op.drop_table("federated_users")
    op.drop_table("expiring_memberships")
    op.drop_table("identity_providers")
    op.drop_table("service_providers")
    op.drop_table("mappings")


def _mappings() -> None:
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
        "expiring_memberships",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("group_id", sa.Text, nullable=False),
        sa.Column("idp_id", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "group_id", "idp_id", name="pk_expiring_memberships"),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name="fk_expiring_memberships_group_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["idp_id"],
            ["identity_providers.id"],
            name="fk_expiring_memberships_idp_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_expiring_memberships_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_expiring_memberships_group_id", "expiring_memberships", ["group_id"])
    op.create_index("ix_expiring_memberships_idp_id", "expiring_memberships", ["idp_id"])


def _federated_users() -> None:
    op.create_table(
        "federated_users",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("idp_id", sa.Text, nullable=False),
        sa.Column("protocol_id", sa.Text, nullable=False),
        sa.Column("unique_id", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_federated_users"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_federated_users_user_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint(
            "idp_id",
            "protocol_id",
            "unique_id",
            name="uq_federated_users_idp_id_protocol_id_unique_id",
        ),
    )
    op.create_index("ix_federated_users_user_id", "federated_users", ["user_id"])
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
