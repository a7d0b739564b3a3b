"""Volumes, snapshots, attachments and types."""

import datetime as dt

import sqlalchemy as sa
from alembic import op

revision = "0014_volumes"
down_revision = "0013_routing"

# The type of volumes that name none; every cloud begins with it.
DEFAULT_TYPE = {
    "id": "6c81c680-df58-4512-81e7-ecf66d160638",
    "name": "__DEFAULT__",
    "description": "Default Volume Type",
    "is_public": True,
    "extra_specs": {},
    "created_at": dt.datetime(2026, 1, 1),
}


def upgrade() -> None:
    """Make the tables."""
    _volume_types()
    _volumes()
    _volume_messages()
    _volume_qos_specs()
    _volume_quotas()
    _volume_attachments()
    _volume_default_types()
    _volume_snapshots()
    _volume_transfers()
    _volume_type_access()


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("volume_type_access")
    op.drop_table("volume_transfers")
    op.drop_table("volume_snapshots")
    op.drop_table("volume_default_types")
    op.drop_table("volume_attachments")
    op.drop_table("volume_quotas")
    op.drop_table("volume_qos_specs")
    op.drop_table("volume_messages")
    op.drop_table("volumes")
    op.drop_table("volume_types")


def _volume_types() -> None:
    table = op.create_table(
        "volume_types",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("is_public", sa.Boolean, nullable=False),
        sa.Column("extra_specs", sa.JSON, nullable=False),
        sa.Column("qos_specs_id", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_volume_types"),
        sa.UniqueConstraint("name", name="uq_volume_types_name"),
    )
    op.create_index("ix_volume_types_qos_specs_id", "volume_types", ["qos_specs_id"])
    op.bulk_insert(table, [DEFAULT_TYPE])


def _volumes() -> None:
    op.create_table(
        "volumes",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("availability_zone", sa.Text, nullable=False),
        sa.Column("volume_type_id", sa.Text, nullable=False),
        sa.Column("snapshot_id", sa.Text, nullable=True),
        sa.Column("source_volid", sa.Text, nullable=True),
        sa.Column("image_id", sa.Text, nullable=True),
        sa.Column("host", sa.Text, nullable=True),
        sa.Column("driver", sa.Text, nullable=True),
        sa.Column("pool", sa.Text, nullable=True),
        sa.Column("is_bootable", sa.Boolean, nullable=False),
        sa.Column("is_multiattach", sa.Boolean, nullable=False),
        sa.Column("is_readonly", sa.Boolean, nullable=True),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("image_metadata", sa.JSON, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=True),
        sa.Column("launched_at", sa.DateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_volumes"),
    )
    op.create_index("ix_volumes_host", "volumes", ["host"])
    op.create_index("ix_volumes_project_id_created_at", "volumes", ["project_id", "created_at"])
    op.create_index("ix_volumes_volume_type_id", "volumes", ["volume_type_id"])


def _volume_messages() -> None:
    op.create_table(
        "volume_messages",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("resource_type", sa.Text, nullable=False),
        sa.Column("resource_id", sa.Text, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_volume_messages"),
    )
    op.create_index("ix_volume_messages_expires_at", "volume_messages", ["expires_at"])
    op.create_index("ix_volume_messages_project_id", "volume_messages", ["project_id"])


def _volume_qos_specs() -> None:
    op.create_table(
        "volume_qos_specs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("consumer", sa.Text, nullable=False),
        sa.Column("specs", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_volume_qos_specs"),
        sa.UniqueConstraint("name", name="uq_volume_qos_specs_name"),
    )


def _volume_quotas() -> None:
    op.create_table(
        "volume_quotas",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("hard_limit", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("scope", "resource", name="pk_volume_quotas"),
    )


def _volume_attachments() -> None:
    op.create_table(
        "volume_attachments",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("volume_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("server_id", sa.Text, nullable=True),
        sa.Column("is_of_server", sa.Boolean, nullable=False),
        sa.Column("attached_host", sa.Text, nullable=True),
        sa.Column("mountpoint", sa.Text, nullable=True),
        sa.Column("attach_mode", sa.Text, nullable=False),
        sa.Column("attach_status", sa.Text, nullable=False),
        sa.Column("connector", sa.JSON, nullable=True),
        sa.Column("connection_info", sa.JSON, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("attached_at", sa.DateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["volume_id"],
            ["volumes.id"],
            name="fk_volume_attachments_volume_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_volume_attachments"),
    )
    op.create_index("ix_volume_attachments_project_id", "volume_attachments", ["project_id"])
    op.create_index("ix_volume_attachments_server_id", "volume_attachments", ["server_id"])
    op.create_index("ix_volume_attachments_volume_id", "volume_attachments", ["volume_id"])


def _volume_default_types() -> None:
    op.create_table(
        "volume_default_types",
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("volume_type_id", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["volume_type_id"], ["volume_types.id"], name="fk_volume_default_types_volume_type_id"
        ),
        sa.PrimaryKeyConstraint("project_id", name="pk_volume_default_types"),
    )
    op.create_index(
        "ix_volume_default_types_volume_type_id", "volume_default_types", ["volume_type_id"]
    )


def _volume_snapshots() -> None:
    op.create_table(
        "volume_snapshots",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("volume_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("volume_size", sa.Integer, nullable=False),
        sa.Column("volume_type_id", sa.Text, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=True),
        sa.ForeignKeyConstraint(
            ["volume_id"], ["volumes.id"], name="fk_volume_snapshots_volume_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_volume_snapshots"),
    )
    op.create_index(
        "ix_volume_snapshots_project_id_created_at",
        "volume_snapshots",
        ["project_id", "created_at"],
    )
    op.create_index("ix_volume_snapshots_volume_id", "volume_snapshots", ["volume_id"])


def _volume_transfers() -> None:
    op.create_table(
        "volume_transfers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("volume_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("salt", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("takes_snapshots", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["volume_id"], ["volumes.id"], name="fk_volume_transfers_volume_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_volume_transfers"),
        sa.UniqueConstraint("volume_id", name="uq_volume_transfers_volume_id"),
    )
    op.create_index("ix_volume_transfers_project_id", "volume_transfers", ["project_id"])


def _volume_type_access() -> None:
    op.create_table(
        "volume_type_access",
        sa.Column("volume_type_id", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(
            ["volume_type_id"],
            ["volume_types.id"],
            name="fk_volume_type_access_volume_type_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("volume_type_id", "project_id", name="pk_volume_type_access"),
    )
    op.create_index("ix_volume_type_access_project_id", "volume_type_access", ["project_id"])
