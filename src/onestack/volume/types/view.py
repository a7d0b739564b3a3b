"""A volume type as clients see it."""

from typing import Any

from onestack.core.context import Context
from onestack.core.shapes import UNSET, Shape, UnsetType, field
from onestack.volume import rules
from onestack.volume.types.record import VolumeTypeRecord

# What of a type's extra specs concerns those who use it, and not only the cloud's operator.
SHOWN = frozenset(("multiattach", "RESKEY:availability_zones", "replication_enabled"))


class TypeUpdated(Shape):
    """A type as it is shown to who changed it."""

    id: str
    name: str
    is_public: bool
    description: str | None
    extra_specs: dict[str, Any] | UnsetType = UNSET


class TypeCreated(TypeUpdated, kw_only=True):
    """A type as it is shown to who made it."""

    is_public_too: bool = field(name="os-volume-type-access:is_public")


class TypeView(TypeCreated):
    """A volume type; extra specs that concern the operator only are shown to the operator."""

    qos_specs_id: str | UnsetType | None = UNSET


def view(ctx: Context, record: VolumeTypeRecord) -> TypeView:
    """A type as this caller sees it."""
    is_admin = rules.is_admin(ctx)
    specs: dict[str, Any] | UnsetType = UNSET
    if is_admin:
        specs = record.extra_specs
    elif ctx.caller.project_id is not None:
        specs = {name: text for name, text in record.extra_specs.items() if name in SHOWN}
    return TypeView(
        id=record.id,
        name=record.name,
        is_public=record.is_public,
        description=record.description,
        extra_specs=specs,
        qos_specs_id=record.qos_specs_id if is_admin else UNSET,
        is_public_too=record.is_public,
    )


def created(record: VolumeTypeRecord) -> TypeCreated:
    """A type as it is shown to who made it."""
    return TypeCreated(
        id=record.id, name=record.name, is_public=record.is_public, is_public_too=record.is_public,
        description=record.description, extra_specs=record.extra_specs,
    )  # fmt: skip


def updated(record: VolumeTypeRecord) -> TypeUpdated:
    """A type as it is shown to who changed it."""
    return TypeUpdated(
        id=record.id, name=record.name, is_public=record.is_public,
        description=record.description, extra_specs=record.extra_specs,
    )  # fmt: skip
