"""Images, their properties, tags and members, their tasks, and metadata definitions."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010_images"
down_revision = "0009_placement"


def upgrade() -> None:
    """Make the tables."""
    _images()
    _image_tags()
    _image_tasks()
    _metadefs()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("tags", "objects", "properties", "associations", "namespaces"):
        op.drop_table(f"metadef_{name}")
    op.drop_table("image_tasks")
    op.drop_table("image_tags")
    op.drop_table("image_properties")
    op.drop_table("image_members")
    op.drop_table("images")


def _images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=True),
        sa.Column("owner", sa.Text, nullable=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("visibility", sa.Text, nullable=False),
        sa.Column("protected", sa.Boolean, nullable=False),
        sa.Column("os_hidden", sa.Boolean, nullable=False),
        sa.Column("disk_format", sa.Text, nullable=True),
        sa.Column("container_format", sa.Text, nullable=True),
        sa.Column("min_disk", sa.Integer, nullable=False),
        sa.Column("min_ram", sa.Integer, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=True),
        sa.Column("virtual_size", sa.BigInteger, nullable=True),
        sa.Column("checksum", sa.Text, nullable=True),
        sa.Column("os_hash_algo", sa.Text, nullable=True),
        sa.Column("os_hash_value", sa.Text, nullable=True),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.Column("data", sa.Text, nullable=True),
        sa.Column("upload_seen_at", sa.DateTime, nullable=True),
        sa.Column("failed_import", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.UniqueConstraint("data", name="uq_images_data"),
    )
    op.create_index("ix_images_created_at_id", "images", ["created_at", "id"])
    op.create_index("ix_images_owner_visibility", "images", ["owner", "visibility"])
    op.create_index("ix_images_status", "images", ["status"])
    op.create_table(
        "image_members",
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "member", name="pk_image_members"),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name="fk_image_members_image_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_image_members_member", "image_members", ["member"])
    op.create_table(
        "image_properties",
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "name", name="pk_image_properties"),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name="fk_image_properties_image_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_image_properties_name_value", "image_properties", ["name", "value"])


def _image_tags() -> None:
    op.create_table(
        "image_tags",
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "value", name="pk_image_tags"),
        sa.ForeignKeyConstraint(
            ["image_id"], ["images.id"], name="fk_image_tags_image_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_image_tags_value", "image_tags", ["value"])


def _image_tasks() -> None:
    op.create_table(
        "image_tasks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("image_id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("input", sa.JSON, nullable=False),
        sa.Column("result", sa.JSON, nullable=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_image_tasks"),
    )
    op.create_index("ix_image_tasks_expires_at", "image_tasks", ["expires_at"])
    op.create_index("ix_image_tasks_image_id", "image_tasks", ["image_id"])


def _metadefs() -> None:
    op.create_table(
        "metadef_namespaces",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("display_name", sa.Text, nullable=True),
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("visibility", sa.Text, nullable=False),
        sa.Column("protected", sa.Boolean, nullable=False),
        sa.Column("owner", sa.Text, nullable=True),
        *_moments(),
        sa.PrimaryKeyConstraint("id", name="pk_metadef_namespaces"),
        sa.UniqueConstraint("namespace", name="uq_metadef_namespaces_namespace"),
    )
    op.create_index("ix_metadef_namespaces_owner", "metadef_namespaces", ["owner"])
    prefix = sa.Column("prefix", sa.Text, nullable=True)
    target = sa.Column("properties_target", sa.Text, nullable=True)
    _defined("metadef_associations", prefix, target, *_moments())
    op.create_index("ix_metadef_associations_name", "metadef_associations", ["name"])
    _defined("metadef_properties", sa.Column("definition", sa.JSON, nullable=False))
    _defined(
        "metadef_objects",
        sa.Column("description", sa.Text, nullable=True),
        sa.Column("required", sa.JSON, nullable=False),
        sa.Column("properties", sa.JSON, nullable=False),
        *_moments(),
    )
    _defined("metadef_tags", *_moments())


def _defined(table: str, *columns: sa.Column[Any]) -> None:
    op.create_table(
        table,
        sa.Column("namespace_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("namespace_id", "name", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["metadef_namespaces.id"], name=f"fk_{table}_namespace_id",
            ondelete="CASCADE",
        ),
    )  # fmt: skip


def _moments() -> tuple[sa.Column[Any], ...]:
    names = ("created_at", "updated_at")
    return tuple(sa.Column(name, sa.DateTime, nullable=False) for name in names)
