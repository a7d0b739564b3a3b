"""Servers, and what happened to them."""

import sqlalchemy as sa
from alembic import op

revision = "0015_servers"
down_revision = "0014_volumes"


def upgrade() -> None:
    """Make the tables."""
    _servers()
    _devices()
    _labels()


def downgrade() -> None:
    """Drop the tables."""
    for name in (
        "server_actions",
        "server_tags",
        "server_interfaces",
        "server_block_devices",
        "deleted_servers",
        "servers",
    ):
        op.drop_table(name)


def _servers() -> None:
    for name in ("servers", "deleted_servers"):
        key = sa.PrimaryKeyConstraint("id", name=f"pk_{name}")
        op.create_table(name, *_what(), *_doing(), key)
    op.create_index("ix_servers_created_at_id", "servers", ["created_at", "id"])
    op.create_index("ix_servers_host", "servers", ["host"])
    op.create_index("ix_servers_project_id_created_at", "servers", ["project_id", "created_at"])
    op.create_index("ix_servers_updated_at", "servers", ["updated_at"])
    op.create_index(
        "ix_deleted_servers_project_id_terminated_at",
        "deleted_servers",
        ["project_id", "terminated_at"],
    )
    op.create_index("ix_deleted_servers_terminated_at", "deleted_servers", ["terminated_at"])


def _what() -> list[sa.Column[object]]:
    """What a server is."""
    return [
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("image_id", sa.Text, nullable=True),
        sa.Column("image_properties", sa.JSON, nullable=False),
        sa.Column("flavor_id", sa.Text, nullable=False),
        sa.Column("flavor_name", sa.Text, nullable=False),
        sa.Column("vcpus", sa.Integer, nullable=False),
        sa.Column("memory_mb", sa.Integer, nullable=False),
        sa.Column("root_gb", sa.Integer, nullable=False),
        sa.Column("ephemeral_gb", sa.Integer, nullable=False),
        sa.Column("swap_mb", sa.Integer, nullable=False),
        sa.Column("extra_specs", sa.JSON, nullable=False),
        sa.Column("key_name", sa.Text, nullable=True),
        sa.Column("public_key", sa.Text, nullable=True),
        sa.Column("user_data", sa.Text, nullable=True),
        sa.Column("guest_password", sa.Text, nullable=True),
        sa.Column("has_config_drive", sa.Boolean, nullable=False),
    ]


def _doing() -> list[sa.Column[object]]:
    """Where it is and what it does."""
    return [
        sa.Column("pinned_zone", sa.Text, nullable=True),
        sa.Column("availability_zone", sa.Text, nullable=True),
        sa.Column("host", sa.Text, nullable=True),
        sa.Column("vm_state", sa.Text, nullable=False),
        sa.Column("task_state", sa.Text, nullable=True),
        sa.Column("power_state", sa.Integer, nullable=False),
        sa.Column("progress", sa.Integer, nullable=False),
        sa.Column("locked_by", sa.Text, nullable=True),
        sa.Column("locked_reason", sa.Text, nullable=True),
        sa.Column("fault", sa.JSON, nullable=True),
        sa.Column("metadata_items", sa.JSON, nullable=False),
        sa.Column("access_ip_v4", sa.Text, nullable=True),
        sa.Column("access_ip_v6", sa.Text, nullable=True),
        sa.Column("disk_config", sa.Text, nullable=False),
        sa.Column("reservation_id", sa.Text, nullable=False),
        sa.Column("launch_index", sa.Integer, nullable=False),
        sa.Column("root_device_name", sa.Text, nullable=True),
        sa.Column("security_groups", sa.JSON, nullable=False),
        sa.Column("scheduler_hints", sa.JSON, nullable=True),
        sa.Column("trusted_certificates", sa.JSON, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.Column("launched_at", sa.DateTime, nullable=True),
        sa.Column("terminated_at", sa.DateTime, nullable=True),
    ]


def _devices() -> None:
    op.create_table(
        "server_block_devices",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("source_type", sa.Text, nullable=False),
        sa.Column("destination_type", sa.Text, nullable=False),
        sa.Column("image_id", sa.Text, nullable=True),
        sa.Column("snapshot_id", sa.Text, nullable=True),
        sa.Column("volume_id", sa.Text, nullable=True),
        sa.Column("attachment_id", sa.Text, nullable=True),
        sa.Column("volume_type", sa.Text, nullable=True),
        sa.Column("size_gb", sa.Integer, nullable=True),
        sa.Column("boot_index", sa.Integer, nullable=True),
        sa.Column("device_name", sa.Text, nullable=True),
        sa.Column("disk_bus", sa.Text, nullable=True),
        sa.Column("device_type", sa.Text, nullable=True),
        sa.Column("guest_format", sa.Text, nullable=True),
        sa.Column("tag", sa.Text, nullable=True),
        sa.Column("delete_on_termination", sa.Boolean, nullable=False),
        sa.Column("is_attached", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_server_block_devices"),
        sa.ForeignKeyConstraint(
            ["server_id"],
            ["servers.id"],
            name="fk_server_block_devices_server_id",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_server_block_devices_server_id", "server_block_devices", ["server_id"])
    op.create_index("ix_server_block_devices_volume_id", "server_block_devices", ["volume_id"])
    op.create_table(
        "server_interfaces",
        sa.Column("port_id", sa.Text, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("tag", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("port_id", name="pk_server_interfaces"),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name="fk_server_interfaces_server_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_server_interfaces_server_id", "server_interfaces", ["server_id"])


def _labels() -> None:
    op.create_table(
        "server_tags",
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("server_id", "tag", name="pk_server_tags"),
        sa.ForeignKeyConstraint(
            ["server_id"], ["servers.id"], name="fk_server_tags_server_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_server_tags_tag", "server_tags", ["tag"])
    op.create_table(
        "server_actions",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("server_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("project_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=True),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_server_actions"),
    )
    op.create_index("ix_server_actions_server_id", "server_actions", ["server_id"])
