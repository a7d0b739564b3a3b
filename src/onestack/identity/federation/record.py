"""Federation as rows: who vouches for users here, by which protocols, and whom we vouch for."""

import datetime as dt
import re
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from onestack.core.db import Record
from onestack.core.errors import BadRequest, NotFound

CHOSEN_ID = re.compile(r"[!-~]{1,64}", re.ASCII)


class IdentityProviderRecord(Record):
    """Somebody elsewhere who knows users of this cloud; their tokens count from `trusted_since`."""

    __tablename__ = "identity_providers"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    domain_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    enabled: Mapped[bool] = mapped_column(default=False)
    description: Mapped[str | None]
    authorization_ttl: Mapped[int | None]
    trusted_since: Mapped[dt.datetime]
    names: Mapped[list["RemoteIdRecord"]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="RemoteIdRecord.remote_id"
    )

    @property
    def remote_ids(self) -> list[str]:
        return [each.remote_id for each in self.names]


class RemoteIdRecord(Record):
    """A name by which an identity provider calls itself; no two share one."""

    __tablename__ = "remote_ids"
    topic = "identity"

    remote_id: Mapped[str] = mapped_column(primary_key=True)
    idp_id: Mapped[str] = mapped_column(
        ForeignKey("identity_providers.id", ondelete="CASCADE"), index=True
    )


class ProtocolRecord(Record):
    """How an identity provider is asked, and the mapping that its answers go through."""

    __tablename__ = "federation_protocols"
    topic = "identity"

    # The id goes first: lists are sorted by it, within one provider.
    id: Mapped[str] = mapped_column(primary_key=True)
    idp_id: Mapped[str] = mapped_column(
        ForeignKey("identity_providers.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    mapping_id: Mapped[str]
    remote_id_attribute: Mapped[str | None]
    trusted_since: Mapped[dt.datetime]


class MappingRecord(Record):
    """Rules that make an identity of an assertion."""

    __tablename__ = "mappings"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    rules: Mapped[list[Any]]
    schema_version: Mapped[str]


class ServiceProviderRecord(Record):
    """Another cloud, which believes what this one says of its users."""

    __tablename__ = "service_providers"
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    auth_url: Mapped[str]
    sp_url: Mapped[str]
    enabled: Mapped[bool] = mapped_column(default=False)
    description: Mapped[str | None]
    relay_state_prefix: Mapped[str]


class IdentityProviderNotFound(NotFound):
    message = "Could not find Identity Provider: {idp_id}."


class ProtocolNotFound(NotFound):
    message = "Could not find federated protocol {protocol_id} for Identity Provider: {idp_id}."


class MappingNotFound(NotFound):
    message = "Could not find mapping: {mapping_id}."


class ServiceProviderNotFound(NotFound):
    message = "Could not find Service Provider: {sp_id}."


class IdInvalid(BadRequest):
    message = "An id takes 1 to 64 visible ASCII characters."


def find_provider(session: Session, idp_id: str) -> IdentityProviderRecord:
    """The identity provider with this id."""
    record = session.get(IdentityProviderRecord, idp_id)
    if record is None:
        raise IdentityProviderNotFound(idp_id=idp_id)
    return record


def find_protocol(session: Session, idp_id: str, protocol_id: str) -> ProtocolRecord:
    """The protocol of an identity provider."""
    find_provider(session, idp_id)
    record = session.get(ProtocolRecord, (protocol_id, idp_id))
    if record is None:
        raise ProtocolNotFound(idp_id=idp_id, protocol_id=protocol_id)
    return record


def find_mapping(session: Session, mapping_id: str) -> MappingRecord:
    """The mapping with this id."""
    record = session.get(MappingRecord, mapping_id)
    if record is None:
        raise MappingNotFound(mapping_id=mapping_id)
    return record


def find_service_provider(session: Session, sp_id: str) -> ServiceProviderRecord:
    """The service provider with this id."""
    record = session.get(ServiceProviderRecord, sp_id)
    if record is None:
        raise ServiceProviderNotFound(sp_id=sp_id)
    return record


def check_id(chosen: str) -> None:
    """Refuse an id that a client chose if links and headers could not carry it."""
    if not CHOSEN_ID.fullmatch(chosen):
        raise IdInvalid
