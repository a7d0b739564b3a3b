"""Networks: list, show, create, change, delete."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.shapes import UNSET
from onestack.network import lists, quotas, rbac, rules
from onestack.network.attributes import InvalidInput, domain_name, given_in, judge, said
from onestack.network.networks import attributes, segments
from onestack.network.networks.attributes import (
    NOUN,
    NetworkCreate,
    NetworksAnswer,
    NetworksCreate,
    NetworkUpdate,
    NetworkView,
)
from onestack.network.networks.record import NetworkInUse, NetworkRecord
from onestack.network.ports import remove as ports
from onestack.network.ports.record import DHCP, PortRecord
from onestack.network.standard import new_id, touch
from onestack.network.subnets.record import SubnetRecord
from onestack.network.switch import Segment
from onestack.network.wirings import change

api = Operations("networks")

PROVIDER = frozenset(attributes.PROVIDER)

BeforeRemoval = Callable[[Session, str], None]
_before: list[BeforeRemoval] = []


class NothingToMake(BadRequest):
    type = "HTTPBadRequest"
    message = "Unable to find '{noun}' in request body"


class NoProviderUpdate(BadRequest):
    type = "InvalidInput"
    message = (
        "Invalid input for operation: Plugin does not support updating the following provider "
        "network attributes: {names}."
    )


class InvalidSharedSetting(Conflict):
    message = (
        "Unable to reconfigure sharing settings for network {id}. Multiple tenants are using it."
    )


class ExternalNetworkInUse(Conflict):
    message = (
        "External network {id} cannot be updated to be made non-external, since it has existing "
        "gateway ports."
    )


@api.get("/v2.0/networks", attributes.GET, key="networks")
def index(ctx: Context) -> Page[NetworkView]:
    """List the networks that the caller's project has, and those that it may use."""
    return lists.page(ctx, NOUN, attributes.visible(ctx))


@api.get("/v2.0/networks/{network_id}", attributes.GET, key="network")
def show(ctx: Context, network_id: str) -> NetworkView:
    """Show a network."""
    record = attributes.seen(ctx, network_id)
    ctx.allow(attributes.target_of(ctx, record))
    return lists.shown(ctx, NOUN, record)


@api.post("/v2.0/networks", rules.rule("create_network", rules.WRITE), status=201)
def create(ctx: Context, body: NetworksCreate) -> NetworksAnswer:
    """Create a network, or several at once: all of them, or none."""
    several = body.networks
    wanted = [body.network] if body.network is not UNSET else several
    if wanted is UNSET or not wanted:
        raise NothingToMake(noun="network")
    records = _created(ctx, wanted)
    shown = attributes.views(ctx, records)
    return NetworksAnswer(network=shown[0]) if several is UNSET else NetworksAnswer(networks=shown)


@api.put("/v2.0/networks/{network_id}", rules.rule("update_network", rules.WRITE), key="network")
def update(ctx: Context, network_id: str, body: NetworkUpdate) -> NetworkView:
    """Change a network."""
    record = attributes.seen(ctx, network_id)
    target = attributes.target_of(ctx, record)
    ctx.allow(target)
    given = given_in(body)
    judge(ctx, attributes.UPDATE, given, target)
    if PROVIDER & given.keys():
        _refuse_provider(record, {k: v for k, v in given.items() if k in PROVIDER})
    _apply(ctx.session, record, {k: v for k, v in given.items() if k not in PROVIDER})
    touch(record)
    ctx.session.flush()
    change.touch(ctx.session, "network", [record.id])
    if "admin_state_up" in given:
        on_it = select(PortRecord.id).where(PortRecord.network_id == record.id)
        change.touch(ctx.session, "port", ctx.session.scalars(on_it).all())
    event.emit(ctx.session, "network.update.end", payload(record), record.project_id, record.id)
    return attributes.views(ctx, [record])[0]


@api.delete("/v2.0/networks/{network_id}", rules.rule("delete_network", rules.WRITE))
def delete(ctx: Context, network_id: str) -> None:
    """Delete a network that nobody uses, with its subnets."""
    record = attributes.seen(ctx, network_id)
    ctx.allow(attributes.target_of(ctx, record))
    remove(ctx.session, record)


def before_removal(function: BeforeRemoval) -> BeforeRemoval:
    """Have a function called with the id of a network that is about to be deleted."""
    if function not in _before:
        _before.append(function)
    return function


def remove(session: Session, record: NetworkRecord) -> None:
    """Delete a network with its subnets; or `NetworkInUse`."""
    for function in _before:
        function(session, record.id)
    of_network = select(PortRecord).where(PortRecord.network_id == record.id)
    found = list(session.scalars(of_network.with_for_update()))
    if any(each.device_owner != DHCP for each in found):
        raise NetworkInUse(id=record.id)
    ports.remove(session, found)
    subnets = session.scalars(select(SubnetRecord).where(SubnetRecord.network_id == record.id))
    for subnet in subnets:
        session.delete(subnet)
    session.flush()
    rbac.forget(session, record.id)
    session.delete(record)
    event.emit(session, "network.delete.end", payload(record), record.project_id, record.id)


def payload(record: NetworkRecord) -> dict[str, Any]:
    """A network as events name it."""
    return {
        "id": record.id, "name": record.name, "project_id": record.project_id,
        "status": record.status, "admin_state_up": record.admin_state_up, "mtu": record.mtu,
        "shared": record.shared, "router:external": record.external,
        "provider:network_type": record.network_type,
        "provider:physical_network": record.physical_network,
        "provider:segmentation_id": record.segmentation_id,
    }  # fmt: skip


def add(session: Session, project_id: str, **given: Any) -> NetworkRecord:
    """A new network; what is not given is as it always is."""
    kind = given.pop("network_type", None)
    if "dns_domain" in given:
        given["dns_domain"] = domain_name(given["dns_domain"])
    wanted = Segment(kind, given.pop("physical_network", None), given.pop("segmentation_id", None))
    chosen = segments.given(session, wanted) if kind else segments.chosen(session)
    segments.refuse_twin(session, chosen)
    now = clock.now()
    mtu = segments.mtu_of(chosen.kind, given.pop("mtu", None))
    record = NetworkRecord(
        id=new_id(), project_id=project_id, revision_number=1, created_at=now, updated_at=now,
        network_type=chosen.kind, physical_network=chosen.physical_network,
        segmentation_id=chosen.segmentation_id, segment=segments.key_of(chosen), mtu=mtu, **given,
    )  # fmt: skip
    session.add(record)
    session.flush()
    for action, is_on in ((rbac.SHARED, record.shared), (rbac.EXTERNAL, record.external)):
        if is_on:
            rbac.share(session, "network", record.id, project_id, action, True)
    event.emit(session, "network.create.end", payload(record), project_id, record.id)
    return record


def _created(ctx: Context, wanted: Sequence[NetworkCreate]) -> list[NetworkRecord]:
    plans = []
    counts: dict[str, int] = {}
    for body in wanted:
        given = given_in(body)
        project_id = rules.owner_of(
            ctx, given.pop("project_id", None), given.pop("tenant_id", None)
        )
        target = {"project_id": project_id, "tenant_id": project_id}
        ctx.allow(target)
        judge(ctx, attributes.CREATE, said(given), target)
        _check(given)
        counts[project_id] = counts.get(project_id, 0) + 1
        plans.append((project_id, given))
    for project_id, count in counts.items():
        quotas.check(ctx.session, project_id, {"network": count})
    return [add(ctx.session, project_id, **given) for project_id, given in plans]


def _check(given: dict[str, Any]) -> None:
    if given.get("is_default") and not given.get("external"):
        raise InvalidInput(reason="is_default is only for external networks")
    is_partial = given.get("physical_network") or given.get("segmentation_id") is not None
    if is_partial and not given.get("network_type"):
        raise InvalidInput(reason="network_type required")


def _refuse_provider(record: NetworkRecord, given: dict[str, Any]) -> None:
    """How a network travels is fixed; to repeat it is no change."""
    changed = sorted(name for name, value in given.items() if value != getattr(record, name))
    if changed:
        raise NoProviderUpdate(names=", ".join(f"provider:{each}" for each in changed))


def _apply(session: Session, record: NetworkRecord, given: dict[str, Any]) -> None:
    if "mtu" in given:
        given["mtu"] = segments.mtu_of(record.network_type, given["mtu"])
    if "dns_domain" in given:
        given["dns_domain"] = domain_name(given["dns_domain"])
    if given.get("shared") is False and record.shared:
        _refuse_unshare(session, record)
    if given.get("external") is False and record.external:
        _refuse_internal(session, record)
    for name, action in (("shared", rbac.SHARED), ("external", rbac.EXTERNAL)):
        if name in given:
            rbac.share(session, "network", record.id, record.project_id, action, given[name])
    for name, value in given.items():
        setattr(record, name, value)


def _refuse_unshare(session: Session, record: NetworkRecord) -> None:
    others = exists().where(
        PortRecord.network_id == record.id, PortRecord.project_id.not_in((record.project_id, ""))
    )
    if session.scalar(select(others)):
        raise InvalidSharedSetting(id=record.id)


def _refuse_internal(session: Session, record: NetworkRecord) -> None:
    gateways = exists().where(
        PortRecord.network_id == record.id,
        PortRecord.device_owner.in_(("network:router_gateway", "network:floatingip")),
    )
    if session.scalar(select(gateways)):
        raise ExternalNetworkInUse(id=record.id)
