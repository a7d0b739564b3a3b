"""Credentials, application credentials and access rules."""

import sqlalchemy as sa
from alembic import op

revision = "0006_credentials"
down_revision = "0005_tokens"


def upgrade() -> None:
    """Make the tables."""
    _access_rules()
    _application_credential_access_rules()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("totp_uses")
    op.drop_table("application_credential_roles")
    op.drop_table("application_credential_access_rules")
    op.drop_table("credentials")
    op.drop_table("application_credentials")
    op.drop_table("access_rules")


def _access_rules() -> None:
    op.create_table(
        "access_rules",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_rules"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_access_rules_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "uq_access_rules", "access_rules", ["user_id", "service", "path", "method"], unique=True
    )
    op.create_table(
        "application_credentials",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=True),
        sa.Column("unrestricted", sa.Boolean, nullable=False),
        sa.Column("has_access_rules", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_application_credentials"),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name="fk_application_credentials_project_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_application_credentials_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_application_credentials_project_id", "application_credentials", ["project_id"]
    )
    op.create_index(
        "uq_application_credentials_name",
        "application_credentials",
        ["user_id", "name"],
        unique=True,
    )
    op.create_table(
        "credentials",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=True),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("encrypted_blob", sa.Text, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_credentials"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_credentials_project_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_credentials_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_credentials_project_id", "credentials", ["project_id"])
    op.create_index("ix_credentials_type", "credentials", ["type"])
    op.create_index("ix_credentials_user_id", "credentials", ["user_id"])


def _application_credential_access_rules() -> None:
    op.create_table(
        "application_credential_access_rules",
        sa.Column("application_credential_id", sa.Text, nullable=False),
        sa.Column("access_rule_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(
            "application_credential_id",
            "access_rule_id",
            name="pk_application_credential_access_rules",
        ),
        sa.ForeignKeyConstraint(
            ["access_rule_id"],
            ["access_rules.id"],
            name="fk_application_credential_access_rules_access_rule_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["application_credential_id"],
            ["application_credentials.id"],
            name="fk_application_credential_access_rules_application_credential_i",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_application_credential_access_rules_access_rule_id",
        "application_credential_access_rules",
        ["access_rule_id"],
    )
    op.create_table(
        "application_credential_roles",
        sa.Column("application_credential_id", sa.Text, nullable=False),
        sa.Column("role_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint(
            "application_credential_id", "role_id", name="pk_application_credential_roles"
        ),
        sa.ForeignKeyConstraint(
            ["application_credential_id"],
            ["application_credentials.id"],
            name="fk_application_credential_roles_application_credential_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["role_id"],
            ["roles.id"],
            name="fk_application_credential_roles_role_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_application_credential_roles_role_id", "application_credential_roles", ["role_id"]
    )
    op.create_table(
        "totp_uses",
        sa.Column("credential_id", sa.Text, nullable=False),
        sa.Column("counter", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("credential_id", name="pk_totp_uses"),
        sa.ForeignKeyConstraint(
            ["credential_id"],
            ["credentials.id"],
            name="fk_totp_uses_credential_id",
            ondelete="CASCADE",
        ),
    )
