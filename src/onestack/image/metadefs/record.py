"""A namespace's rows: itself, what it defines, and which kinds of resources it is about."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from onestack.core.db import Record
from onestack.core.errors import Conflict, NotFound
from onestack.image.images.record import TOPIC


class NamespaceRecord(Record):
    """A namespace of definitions."""

    __tablename__ = "metadef_namespaces"
    topic = TOPIC

    id: Mapped[str] = mapped_column(primary_key=True)
    namespace: Mapped[str] = mapped_column(unique=True)
    display_name: Mapped[str | None]
    description: Mapped[str | None]
    visibility: Mapped[str]
    protected: Mapped[bool]
    owner: Mapped[str | None] = mapped_column(index=True)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class AssociationRecord(Record):
    """A kind of resources that a namespace is about."""

    __tablename__ = "metadef_associations"
    topic = TOPIC

    namespace_id: Mapped[str] = mapped_column(
        ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True, index=True)
    prefix: Mapped[str | None]
    properties_target: Mapped[str | None]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class PropertyRecord(Record):
    """A property of resources, as a JSON Schema."""

    __tablename__ = "metadef_properties"
    topic = TOPIC

    namespace_id: Mapped[str] = mapped_column(
        ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    definition: Mapped[dict[str, Any]]


class ObjectRecord(Record):
    """Properties that belong together."""

    __tablename__ = "metadef_objects"
    topic = TOPIC

    namespace_id: Mapped[str] = mapped_column(
        ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str | None]
    required: Mapped[list[Any]]
    properties: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class TagRecord(Record):
    """A tag that resources may have."""

    __tablename__ = "metadef_tags"
    topic = TOPIC

    namespace_id: Mapped[str] = mapped_column(
        ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class NamespaceNotFound(NotFound):
    message = "Metadata definition namespace not found: {namespace}"


class NamespaceExists(Conflict):
    message = "The metadata definition namespace={namespace} already exists."


class NameExists(Conflict):
    message = (
        "A metadata definition {kind} with name={name} already exists in namespace={namespace}."
    )


class NameNotFound(NotFound):
    message = (
        "The metadata definition {kind} with name={name} was not found in namespace={namespace}."
    )
