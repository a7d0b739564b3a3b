"""Protocols: how identity providers are asked, and which mapping makes sense of their answers."""

from typing import Annotated

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType
from onestack.identity import events, rules
from onestack.identity.federation import shadows
from onestack.identity.federation.record import (
    MappingRecord,
    ProtocolRecord,
    check_id,
    find_protocol,
    find_provider,
)
from onestack.identity.style import link, links
from onestack.identity.unique import Duplicate, refuse_duplicate

api = Operations("protocols")

MappingId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9_-]+$(?!\n)")]
Attribute = Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*$(?!\n)")]
ALL = "/v3/OS-FEDERATION/identity_providers/{idp_id}/protocols"
ONE = f"{ALL}/{{protocol_id}}"


class ProtocolCreate(Shape, forbid_unknown_fields=True):
    """A protocol to add to an identity provider."""

    mapping_id: MappingId
    remote_id_attribute: Attribute | None = None


class ProtocolUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a protocol."""

    mapping_id: MappingId | UnsetType = UNSET
    remote_id_attribute: Attribute | UnsetType | None = UNSET


class ProtocolQuery(PageQuery):
    """Which protocols to list."""

    id: str | None = None
    mapping_id: str | None = None


class ProtocolView(Shape):
    """A protocol of an identity provider."""

    id: str
    mapping_id: str
    remote_id_attribute: str | None
    links: dict[str, str]


class MappingMissing(BadRequest):
    message = "Invalid mapping id: {mapping_id}"


@api.get(ALL, Rule("identity:list_protocols", rules.READ), key="protocols")
def index(ctx: Context, idp_id: str, query: ProtocolQuery) -> Page[ProtocolView]:
    """List the protocols of an identity provider."""
    find_provider(ctx.session, idp_id)
    statement = select(ProtocolRecord).where(ProtocolRecord.idp_id == idp_id)
    return page(ctx, statement, ProtocolRecord, query, view)


@api.put(ONE, Rule("identity:create_protocol", rules.ADMIN), key="protocol", status=201)
def create(ctx: Context, idp_id: str, protocol_id: str, body: ProtocolCreate) -> ProtocolView:
    """Add a protocol to an identity provider."""
    check_id(protocol_id)
    find_provider(ctx.session, idp_id)
    _check_mapping(ctx.session, body.mapping_id)
    if ctx.session.get(ProtocolRecord, (protocol_id, idp_id)) is not None:
        raise Duplicate(kind="federation_protocol", name=protocol_id)
    record = ProtocolRecord(
        id=protocol_id,
        idp_id=idp_id,
        mapping_id=body.mapping_id,
        remote_id_attribute=body.remote_id_attribute or None,
        trusted_since=clock.now(),
    )
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "federation_protocol", protocol_id)
    events.emit(ctx.session, "protocol.created", protocol_id)
    return view(ctx, record)


@api.get(ONE, Rule("identity:get_protocol", rules.READ), key="protocol")
def show(ctx: Context, idp_id: str, protocol_id: str) -> ProtocolView:
    """Show a protocol of an identity provider."""
    return view(ctx, find_protocol(ctx.session, idp_id, protocol_id))


@api.patch(ONE, Rule("identity:update_protocol", rules.ADMIN), key="protocol")
def update(ctx: Context, idp_id: str, protocol_id: str, body: ProtocolUpdate) -> ProtocolView:
    """Change which mapping a protocol uses, or where it says who the provider is."""
    record = find_protocol(ctx.session, idp_id, protocol_id)
    if body == ProtocolUpdate():
        raise BadRequest("Expecting to find what to change of the protocol.")
    if body.mapping_id is not UNSET:
        _check_mapping(ctx.session, body.mapping_id)
        record.mapping_id = body.mapping_id
    if body.remote_id_attribute is not UNSET:
        record.remote_id_attribute = body.remote_id_attribute or None
    events.emit(ctx.session, "protocol.updated", protocol_id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_protocol", rules.ADMIN), threaded=True)
def delete(ctx: Context, idp_id: str, protocol_id: str) -> None:
    """Delete a protocol of an identity provider, and the users whom only it let in."""
    record = find_protocol(ctx.session, idp_id, protocol_id)
    shadows.forget(ctx.session, idp_id, protocol_id)
    ctx.session.delete(record)
    events.emit(ctx.session, "protocol.deleted", protocol_id)


def view(ctx: Context, record: ProtocolRecord) -> ProtocolView:
    """A protocol as clients see it."""
    provider = f"OS-FEDERATION/identity_providers/{record.idp_id}"
    own = links(ctx, f"{provider}/protocols/{record.id}")
    return ProtocolView(
        id=record.id,
        mapping_id=record.mapping_id,
        remote_id_attribute=record.remote_id_attribute,
        links={**own, "identity_provider": link(ctx, provider)},
    )


def _check_mapping(session: Session, mapping_id: str) -> None:
    if session.get(MappingRecord, mapping_id) is None:
        raise MappingMissing(mapping_id=mapping_id)
