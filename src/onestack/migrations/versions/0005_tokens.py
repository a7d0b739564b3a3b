"""What lends rights and what voids tokens: trusts, revocations, OAuth."""

import sqlalchemy as sa
from alembic import op

revision = "0005_tokens"
down_revision = "0004_catalogue"


def upgrade() -> None:
    """Make the tables."""
    _oauth1_consumers()
    _trusts()
    _oauth1_request_tokens()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("trust_roles")
    op.drop_table("oauth1_request_tokens")
    op.drop_table("oauth1_access_tokens")
    op.drop_table("trusts")
    op.drop_table("oauth1_nonces")
    op.drop_table("revocations")
    op.drop_table("oauth1_consumers")


def _oauth1_consumers() -> None:
    op.create_table(
        "oauth1_consumers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("encrypted_secret", sa.Text, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth1_consumers"),
    )
    op.create_table(
        "revocations",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("domain_id", sa.Text, nullable=True),
        sa.Column("project_id", sa.Text, nullable=True),
        sa.Column("user_id", sa.Text, nullable=True),
        sa.Column("role_id", sa.Text, nullable=True),
        sa.Column("trust_id", sa.Text, nullable=True),
        sa.Column("consumer_id", sa.Text, nullable=True),
        sa.Column("access_token_id", sa.Text, nullable=True),
        sa.Column("audit_id", sa.Text, nullable=True),
        sa.Column("audit_chain_id", sa.Text, nullable=True),
        sa.Column("expires_at", sa.DateTime, nullable=True),
        sa.Column("issued_before", sa.DateTime, nullable=False),
        sa.Column("revoked_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revocations"),
    )
    op.create_index("ix_revocations_audit_id", "revocations", ["audit_id"])
    op.create_index("ix_revocations_project_id", "revocations", ["project_id"])
    op.create_index("ix_revocations_revoked_at", "revocations", ["revoked_at"])
    op.create_index("ix_revocations_user", "revocations", ["user_id", "audit_chain_id"])
    op.create_table(
        "oauth1_nonces",
        sa.Column("consumer_id", sa.Text, nullable=False),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("signed_at", sa.DateTime, nullable=False),
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint(
            "consumer_id", "token_id", "signed_at", "nonce", name="pk_oauth1_nonces"
        ),
        sa.ForeignKeyConstraint(
            ["consumer_id"],
            ["oauth1_consumers.id"],
            name="fk_oauth1_nonces_consumer_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_oauth1_nonces_expires_at", "oauth1_nonces", ["expires_at"])


def _trusts() -> None:
    op.create_table(
        "trusts",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("trustor_user_id", sa.Text, nullable=False),
        sa.Column("trustee_user_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=True),
        sa.Column("impersonation", sa.Boolean, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=True),
        sa.Column("remaining_uses", sa.Integer, nullable=True),
        sa.Column("redelegated_trust_id", sa.Text, nullable=True),
        sa.Column("redelegation_count", sa.Integer, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trusts"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_trusts_project_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["redelegated_trust_id"],
            ["trusts.id"],
            name="fk_trusts_redelegated_trust_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_trusts_project_id", "trusts", ["project_id"])
    op.create_index("ix_trusts_redelegated_trust_id", "trusts", ["redelegated_trust_id"])
    op.create_index("ix_trusts_trustee_user_id", "trusts", ["trustee_user_id"])
    op.create_index("ix_trusts_trustor_user_id", "trusts", ["trustor_user_id"])
    op.create_table(
        "oauth1_access_tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("consumer_id", sa.Text, nullable=False),
        sa.Column("authorizing_user_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("encrypted_secret", sa.Text, nullable=False),
        sa.Column("role_ids", sa.JSON, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth1_access_tokens"),
        sa.ForeignKeyConstraint(
            ["authorizing_user_id"],
            ["users.id"],
            name="fk_oauth1_access_tokens_authorizing_user_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consumer_id"],
            ["oauth1_consumers.id"],
            name="fk_oauth1_access_tokens_consumer_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_oauth1_access_tokens_project_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_oauth1_access_tokens_authorizing_user_id",
        "oauth1_access_tokens",
        ["authorizing_user_id"],
    )
    op.create_index("ix_oauth1_access_tokens_consumer_id", "oauth1_access_tokens", ["consumer_id"])
    op.create_index("ix_oauth1_access_tokens_project_id", "oauth1_access_tokens", ["project_id"])


def _oauth1_request_tokens() -> None:
    op.create_table(
        "oauth1_request_tokens",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("consumer_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("encrypted_secret", sa.Text, nullable=False),
        sa.Column("encrypted_verifier", sa.Text, nullable=True),
        sa.Column("authorizing_user_id", sa.Text, nullable=True),
        sa.Column("role_ids", sa.JSON, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oauth1_request_tokens"),
        sa.ForeignKeyConstraint(
            ["authorizing_user_id"],
            ["users.id"],
            name="fk_oauth1_request_tokens_authorizing_user_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["consumer_id"],
            ["oauth1_consumers.id"],
            name="fk_oauth1_request_tokens_consumer_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_oauth1_request_tokens_project_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_oauth1_request_tokens_authorizing_user_id",
        "oauth1_request_tokens",
        ["authorizing_user_id"],
    )
    op.create_index(
        "ix_oauth1_request_tokens_consumer_id", "oauth1_request_tokens", ["consumer_id"]
    )
    op.create_index("ix_oauth1_request_tokens_expires_at", "oauth1_request_tokens", ["expires_at"])
    op.create_index("ix_oauth1_request_tokens_project_id", "oauth1_request_tokens", ["project_id"])
    op.create_table(
        "trust_roles",
        sa.Column("trust_id", sa.Text, nullable=False),
        sa.Column("role_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("trust_id", "role_id", name="pk_trust_roles"),
        sa.ForeignKeyConstraint(
            ["role_id"], ["roles.id"], name="fk_trust_roles_role_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["trust_id"], ["trusts.id"], name="fk_trust_roles_trust_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_trust_roles_role_id", "trust_roles", ["role_id"])
