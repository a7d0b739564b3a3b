"""Flavours as clients see them."""

from typing import Annotated

from onestack.compute import rules
from onestack.compute.flavors.record import FlavorRecord
from onestack.compute.style import links
from onestack.core.context import Context
from onestack.core.shapes import UNSET, Link, Shape, UnsetType, field, since, until

EXTRA_SPECS = rules.rule("os-flavor-extra-specs:index", rules.READER)


class FlavorSummary(Shape):
    """A flavour in a list."""

    id: str
    name: str
    links: list[Link]
    description: Annotated[str | None, since("2.55")]


class FlavorView(Shape):
    """A flavour."""

    id: str
    name: str
    ram: int
    disk: int
    vcpus: int
    swap: int | str
    links: list[Link]
    ephemeral_gb: int = field(name="OS-FLV-EXT-DATA:ephemeral")
    is_public: bool = field(name="os-flavor-access:is_public")
    disabled: Annotated[bool, until("2.101")] = field(name="OS-FLV-DISABLED:disabled")
    rxtx_factor: Annotated[float, until("2.101")]
    description: Annotated[str | None, since("2.55")]
    extra_specs: Annotated[dict[str, str] | UnsetType, since("2.61")] = UNSET


def summary(ctx: Context, record: FlavorRecord) -> FlavorSummary:
    """A flavour as lists show it."""
    return FlavorSummary(
        id=record.id,
        name=record.name,
        links=links(ctx, f"flavors/{record.id}"),
        description=record.description,
    )


def view(ctx: Context, record: FlavorRecord, extra_specs: dict[str, str] | None) -> FlavorView:
    """A flavour; with what it asks of hosts, for who may know."""
    swap: int | str = record.swap_mb
    if not swap and ctx.version < (2, 75):
        swap = ""
    return FlavorView(
        id=record.id,
        name=record.name,
        ram=record.memory_mb,
        disk=record.root_gb,
        vcpus=record.vcpus,
        swap=swap,
        links=links(ctx, f"flavors/{record.id}"),
        ephemeral_gb=record.ephemeral_gb,
        is_public=record.is_public,
        disabled=record.disabled,
        rxtx_factor=record.rxtx_factor,
        description=record.description,
        extra_specs=UNSET if extra_specs is None else extra_specs,
    )


def shows_extra_specs(ctx: Context) -> bool:
    """Whether the caller is shown what flavours ask of hosts."""
    return ctx.version >= (2, 61) and rules.is_allowed_own(ctx, EXTRA_SPECS)
