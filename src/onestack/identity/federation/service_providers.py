"""Service providers: other clouds, in which this one's users may work."""

from typing import Annotated

from sqlalchemy import select

from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.paging import PageQuery, page
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType
from onestack.identity import events, rules
from onestack.identity.federation.record import (
    ServiceProviderRecord,
    check_id,
    find_service_provider,
)
from onestack.identity.names import Description
from onestack.identity.style import links
from onestack.identity.unique import Duplicate, refuse_duplicate

api = Operations("service_providers")

# Visible ASCII only: the addresses are answered in headers too.
Address = Annotated[str, Meta(max_length=225, pattern=r"^[a-zA-Z0-9+.-]+:[!-~]+$(?!\n)")]
Prefix = Annotated[str, Meta(max_length=256, pattern=r"^[ -~]*$(?!\n)")]
ONE = "/v3/OS-FEDERATION/service_providers/{sp_id}"
RELAY_STATE_PREFIX = "ss:mem:"


class ServiceProviderCreate(Shape, forbid_unknown_fields=True):
    """A service provider to register."""

    auth_url: Address
    sp_url: Address
    enabled: bool | None = False
    description: Description | None = None
    relay_state_prefix: Prefix | None = None


class ServiceProviderUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a service provider."""

    auth_url: Address | UnsetType = UNSET
    sp_url: Address | UnsetType = UNSET
    enabled: bool | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    relay_state_prefix: Prefix | UnsetType | None = UNSET


class ServiceProviderQuery(PageQuery):
    """Which service providers to list."""

    id: str | None = None
    enabled: bool | None = None


class ServiceProviderView(Shape):
    """A service provider."""

    id: str
    auth_url: str
    sp_url: str
    enabled: bool
    description: str | None
    relay_state_prefix: str
    links: dict[str, str]


@api.get(
    "/v3/OS-FEDERATION/service_providers",
    Rule("identity:list_service_providers", rules.READ),
    key="service_providers",
)
def index(ctx: Context, query: ServiceProviderQuery) -> Page[ServiceProviderView]:
    """List service providers."""
    return page(ctx, select(ServiceProviderRecord), ServiceProviderRecord, query, view)


@api.put(
    ONE, Rule("identity:create_service_provider", rules.ADMIN), key="service_provider", status=201
)
def create(ctx: Context, sp_id: str, body: ServiceProviderCreate) -> ServiceProviderView:
    """Register a service provider."""
    check_id(sp_id)
    if ctx.session.get(ServiceProviderRecord, sp_id) is not None:
        raise Duplicate(kind="service_provider", name=sp_id)
    prefix = body.relay_state_prefix
    record = ServiceProviderRecord(
        id=sp_id,
        auth_url=body.auth_url,
        sp_url=body.sp_url,
        enabled=bool(body.enabled),
        description=body.description,
        relay_state_prefix=RELAY_STATE_PREFIX if prefix is None else prefix,
    )
    ctx.session.add(record)
    refuse_duplicate(ctx.session, "service_provider", sp_id)
    events.emit(ctx.session, "service_provider.created", sp_id)
    return view(ctx, record)


@api.get(ONE, Rule("identity:get_service_provider", rules.READ), key="service_provider")
def show(ctx: Context, sp_id: str) -> ServiceProviderView:
    """Show a service provider."""
    return view(ctx, find_service_provider(ctx.session, sp_id))


@api.patch(ONE, Rule("identity:update_service_provider", rules.ADMIN), key="service_provider")
def update(ctx: Context, sp_id: str, body: ServiceProviderUpdate) -> ServiceProviderView:
    """Change a service provider."""
    record = find_service_provider(ctx.session, sp_id)
    if body == ServiceProviderUpdate():
        raise BadRequest("Expecting to find what to change of the service provider.")
    if body.auth_url is not UNSET:
        record.auth_url = body.auth_url
    if body.sp_url is not UNSET:
        record.sp_url = body.sp_url
    if body.enabled is not UNSET:
        record.enabled = bool(body.enabled)
    if body.description is not UNSET:
        record.description = body.description
    if body.relay_state_prefix is not UNSET:
        prefix = body.relay_state_prefix
        record.relay_state_prefix = RELAY_STATE_PREFIX if prefix is None else prefix
    events.emit(ctx.session, "service_provider.updated", sp_id)
    return view(ctx, record)


@api.delete(ONE, Rule("identity:delete_service_provider", rules.ADMIN))
def delete(ctx: Context, sp_id: str) -> None:
    """Delete a service provider."""
    ctx.session.delete(find_service_provider(ctx.session, sp_id))
    events.emit(ctx.session, "service_provider.deleted", sp_id)


def view(ctx: Context, record: ServiceProviderRecord) -> ServiceProviderView:
    """A service provider as clients see it."""
    return ServiceProviderView(
        id=record.id,
        auth_url=record.auth_url,
        sp_url=record.sp_url,
        enabled=record.enabled,
        description=record.description,
        relay_state_prefix=record.relay_state_prefix,
        links=dict(links(ctx, f"OS-FEDERATION/service_providers/{record.id}")),
    )
