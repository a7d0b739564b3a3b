"""Placement's rows: providers and what they have, and who has been given how much of it."""

import datetime as dt

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Record

TOPIC = "placement"
PROVIDERS_TOPIC = "placement.providers"  # what they are, but not how much of them is in use
UNKNOWN_OWNER = "00000000-0000-0000-0000-000000000000"  # of consumers from before version 1.8


class ProviderRecord(Record):
    """Whatever has resources: a host, a NUMA node, a network card, a pool of disks."""

    __tablename__ = "resource_providers"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("resource_providers.id"), index=True)
    root_id: Mapped[str] = mapped_column(index=True)
    generation: Mapped[int] = mapped_column(default=0)
    changed_in: Mapped[int] = mapped_column(index=True)  # placement's revision at the last change
    updated_at: Mapped[dt.datetime]


class InventoryRecord(Record):
    """How much of a class of resources a provider has, and how it may be given away."""

    __tablename__ = "inventories"
    __table_args__ = (CheckConstraint("total > 0", name="ck_inventories_total"),)
    topic = TOPIC

    provider_id: Mapped[str] = mapped_column(
        ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True
    )
    resource_class: Mapped[str] = mapped_column(primary_key=True, index=True)
    total: Mapped[int]
    reserved: Mapped[int]
    min_unit: Mapped[int]
    max_unit: Mapped[int]
    step_size: Mapped[int]
    allocation_ratio: Mapped[float]


class ProviderTraitRecord(Record):
    """A provider has a trait."""

    __tablename__ = "resource_provider_traits"
    topic = TOPIC

    provider_id: Mapped[str] = mapped_column(
        ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True
    )
    trait: Mapped[str] = mapped_column(primary_key=True, index=True)


class ProviderAggregateRecord(Record):
    """A provider is in an aggregate."""

    __tablename__ = "resource_provider_aggregates"
    topic = TOPIC

    provider_id: Mapped[str] = mapped_column(
        ForeignKey("resource_providers.id", ondelete="CASCADE"), primary_key=True
    )
    aggregate_id: Mapped[str] = mapped_column(primary_key=True)


class ConsumerRecord(Record):
    """Who holds resources: a server, a migration."""

    __tablename__ = "consumers"
    __table_args__ = (Index("ix_consumers_owner", "project_id", "user_id"),)
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    user_id: Mapped[str]
    type: Mapped[str | None]
    generation: Mapped[int]
    updated_at: Mapped[dt.datetime]


class AllocationRecord(Record):
    """What a consumer holds of one class of resources of one provider."""

    __tablename__ = "allocations"
    __table_args__ = (
        Index("ix_allocations_use", "provider_id", "resource_class", "used"),
        CheckConstraint("used > 0", name="ck_allocations_used"),
    )
    topic = TOPIC

    consumer_id: Mapped[str] = mapped_column(
        ForeignKey("consumers.id", ondelete="CASCADE"), primary_key=True
    )
    provider_id: Mapped[str] = mapped_column(ForeignKey("resource_providers.id"), primary_key=True)
    resource_class: Mapped[str] = mapped_column(primary_key=True, index=True)
    used: Mapped[int]


class ResourceClassRecord(Record):
    """A class of resources of the operator's own."""

    __tablename__ = "resource_classes"
    topic = TOPIC

    name: Mapped[str] = mapped_column(primary_key=True)
    updated_at: Mapped[dt.datetime]


class TraitRecord(Record):
    """A trait of the operator's own."""

    __tablename__ = "traits"
    topic = TOPIC

    name: Mapped[str] = mapped_column(primary_key=True)
    updated_at: Mapped[dt.datetime]
