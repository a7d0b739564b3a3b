"""Routers: list, show, create, change, delete."""

from typing import Any

from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Conflict
from onestack.core.shapes import UNSET
from onestack.network import lists, quotas, rules
from onestack.network.routers import attributes, gateway, placing, routes
from onestack.network.routers.attributes import (
    NOUN,
    ONE,
    READ,
    ROOT,
    BadRouterRequest,
    RouterCreate,
    RouterUpdate,
    RouterView,
)
from onestack.network.routers.events import changed, payload
from onestack.network.routers.record import RouterRecord, interfaces_of
from onestack.network.standard import new_id

api = Operations("routers")


class RouterInUse(Conflict):
    message = "Router {router_id} still has ports"


@api.get(ROOT, READ, key="routers")
def index(ctx: Context) -> Page[RouterView]:
    """List routers."""
    return lists.page(ctx, NOUN, {"project_id": NOUN.table.c.project_id})


@api.get(ONE, READ, key="router")
def show(ctx: Context, router_id: str) -> RouterView:
    """Show a router."""
    return lists.shown(ctx, NOUN, attributes.seen(ctx, router_id))


@api.post(ROOT, rules.rule("create_router", rules.WRITE), key="router", status=201)
def create(ctx: Context, body: RouterCreate) -> RouterView:
    """Create a router; with a gateway it is on an external network."""
    project_id = rules.owner_of(ctx, body.project_id, body.tenant_id)
    ctx.allow(project_id=project_id)
    _check_kind(ctx, attributes.CREATE_KIND, body.ha, body.distributed)
    wanted = gateway.judged(ctx, attributes.CREATE_GATEWAY, body.external_gateway_info)
    quotas.check(ctx.session, project_id, {"router": 1})
    record = add(
        ctx.session,
        project_id,
        name=body.name,
        description=body.description,
        admin_state_up=body.admin_state_up,
        availability_zone_hints=body.availability_zone_hints,
    )
    if wanted is not None:
        gateway.keep(ctx.session, record, wanted)
    return attributes.views(ctx, [record])[0]


@api.put(ONE, rules.rule("update_router", rules.WRITE), key="router")
def update(ctx: Context, router_id: str, body: RouterUpdate) -> RouterView:
    """Change a router, its gateway or its routes."""
    record = attributes.own(ctx, router_id)
    ha, distributed = (None if e is UNSET else e for e in (body.ha, body.distributed))
    _check_kind(ctx, attributes.UPDATE_KIND, ha, distributed)
    for name in ("name", "description", "admin_state_up"):
        value = getattr(body, name)
        if value is not UNSET:
            setattr(record, name, value)
    if body.external_gateway_info is not UNSET:
        wanted = gateway.judged(ctx, attributes.UPDATE_GATEWAY, body.external_gateway_info)
        if wanted is None:
            gateway.clear(ctx.session, record)
        else:
            gateway.keep(ctx.session, record, wanted)
    if body.routes is not UNSET:
        routes.keep(ctx.session, record, body.routes or [])
    changed(ctx.session, record)
    return attributes.views(ctx, [record])[0]


@api.delete(ONE, rules.rule("delete_router", rules.WRITE))
def delete(ctx: Context, router_id: str) -> None:
    """Delete a router that is on no internal network."""
    remove(ctx.session, attributes.own(ctx, router_id))


def add(session: Session, project_id: str, **given: Any) -> RouterRecord:
    """A new router, on no network yet."""
    now = clock.now()
    record = RouterRecord(
        id=new_id(),
        project_id=project_id,
        revision_number=1,
        created_at=now,
        updated_at=now,
        status="ACTIVE",
        **given,
    )
    session.add(record)
    session.flush()
    event.emit(session, "router.create.end", payload(record), project_id, record.id)
    return record


def remove(session: Session, record: RouterRecord) -> None:
    """Delete a router with its gateway; or `RouterInUse`."""
    if interfaces_of(session, record.id):
        raise RouterInUse(router_id=record.id)
    gateway.clear(session, record)
    placing.unplace(session, record)
    session.delete(record)
    session.flush()
    event.emit(session, "router.delete.end", payload(record), record.project_id, record.id)


def _check_kind(
    ctx: Context, needed: dict[str, Any], ha: bool | None, distributed: bool | None
) -> None:
    """A router is on one host, and moves when that fails: there is no other kind."""
    for name, value in (("ha", ha), ("distributed", distributed)):
        if value is not None:
            ctx.allow(rule=needed[name])
        if value:
            raise BadRouterRequest(reason=f"{name} routers are not supported")
