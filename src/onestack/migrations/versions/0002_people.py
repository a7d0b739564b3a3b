"""Projects, users and groups."""

import sqlalchemy as sa
from alembic import op

revision = "0002_people"
down_revision = "0001_ground_floor"


def upgrade() -> None:
    """Make the tables."""
    _projects()
    _project_tags()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("passwords")
    op.drop_table("memberships")
    op.drop_table("logins")
    op.drop_table("users")
    op.drop_table("project_tags")
    op.drop_table("groups")
    op.drop_table("directory_entries")
    op.drop_table("directories")
    op.drop_table("projects")


def _projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("domain_id", sa.Text, nullable=True),
        sa.Column("parent_id", sa.Text, nullable=True),
        sa.Column("is_domain", sa.Boolean, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.ForeignKeyConstraint(["domain_id"], ["projects.id"], name="fk_projects_domain_id"),
        sa.ForeignKeyConstraint(["parent_id"], ["projects.id"], name="fk_projects_parent_id"),
    )
    op.create_index("ix_projects_parent_id", "projects", ["parent_id"])
    op.create_index(
        "uq_domains_name",
        "projects",
        ["name"],
        unique=True,
        sqlite_where=sa.text("is_domain"),
        postgresql_where=sa.text("is_domain"),
    )
    op.create_index("uq_projects_name", "projects", ["domain_id", "name"], unique=True)
    op.create_table(
        "directories",
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("synchronised_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("domain_id", name="pk_directories"),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["projects.id"], name="fk_directories_domain_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "directory_entries",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_directory_entries"),
        sa.ForeignKeyConstraint(
            ["domain_id"],
            ["projects.id"],
            name="fk_directory_entries_domain_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_directory_entries_domain_id", "directory_entries", ["domain_id"])
    op.create_table(
        "groups",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.ForeignKeyConstraint(["domain_id"], ["projects.id"], name="fk_groups_domain_id"),
    )
    op.create_index("uq_groups_name", "groups", ["domain_id", "name"], unique=True)


def _project_tags() -> None:
    op.create_table(
        "project_tags",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name="pk_project_tags"),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_project_tags_project_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("domain_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("default_project_id", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("extra", sa.JSON, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.ForeignKeyConstraint(["domain_id"], ["projects.id"], name="fk_users_domain_id"),
    )
    op.create_index("uq_users_name", "users", ["domain_id", "name"], unique=True)
    op.create_table(
        "logins",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failed_at", sa.DateTime, nullable=True),
        sa.Column("last_active_on", sa.Date, nullable=True),
        sa.PrimaryKeyConstraint("user_id", name="pk_logins"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_logins_user_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("group_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "group_id", name="pk_memberships"),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name="fk_memberships_group_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_memberships_group_id", "memberships", ["group_id"])
    op.create_table(
        "passwords",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=True),
        sa.Column("is_self_service", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_passwords"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_passwords_user_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_passwords_user_id", "passwords", ["user_id"])
