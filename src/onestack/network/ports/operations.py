"""Ports: list, show, create, change, delete."""

from collections.abc import Sequence
from typing import Any

from onestack.core import event
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import Conflict
from onestack.core.shapes import UNSET
from onestack.network import lists, quotas, rules
from onestack.network.attributes import domain_name, given_in, judge, mac, said
from onestack.network.networks import attributes as networks
from onestack.network.networks.operations import NothingToMake
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports import add, attributes, bind, change, checks
from onestack.network.ports.add import NewPort
from onestack.network.ports.attributes import (
    PortCreate,
    PortsAnswer,
    PortsCreate,
    PortUpdate,
    PortView,
)
from onestack.network.ports.record import (
    FLOATING_IP,
    ROUTER_GATEWAY,
    ROUTER_INTERFACE,
    PortRecord,
)
from onestack.network.ports.remove import drop
from onestack.network.ports.view import NOUN, views, views_of_new
from onestack.network.security_groups.ports import checked_groups

api = Operations("ports")

OF_ROUTERS = (ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP)


class ServicePortInUse(Conflict):
    message = (
        "Port {id} cannot be deleted directly via the port API: has device owner {device_owner}."
    )


@api.get("/v2.0/ports", attributes.GET, key="ports")
def index(ctx: Context) -> Page[PortView]:
    """List the ports that the caller's project has, and those on its networks."""
    return lists.page(ctx, NOUN, attributes.visible())


@api.get("/v2.0/ports/{port_id}", attributes.GET, key="port")
def show(ctx: Context, port_id: str) -> PortView:
    """Show a port."""
    record, target = attributes.seen(ctx, port_id)
    ctx.allow(target)
    return lists.shown(ctx, NOUN, record)


@api.post("/v2.0/ports", attributes.CREATE_RULE, status=201)
def create(ctx: Context, body: PortsCreate) -> PortsAnswer:
    """Create a port, or several at once: all of them, or none."""
    several = body.ports
    wanted = [body.port] if body.port is not UNSET else several
    if wanted is UNSET or not wanted:
        raise NothingToMake(noun="port")
    shown = views_of_new(ctx, _created(ctx, wanted))
    return PortsAnswer(port=shown[0]) if several is UNSET else PortsAnswer(ports=shown)


@api.put("/v2.0/ports/{port_id}", attributes.UPDATE_RULE, key="port")
def update(ctx: Context, port_id: str, body: PortUpdate) -> PortView:
    """Change a port."""
    record, target = attributes.seen(ctx, port_id)
    ctx.allow(target)
    given = given_in(body)
    judge(ctx, attributes.UPDATE, _judged(given, record), target)
    change.apply(ctx, record, given)
    payload = add.payload(record)
    event.emit(ctx.session, "port.update.end", payload, record.project_id, record.id)
    return views(ctx, [record])[0]


@api.delete("/v2.0/ports/{port_id}", attributes.DELETE_RULE)
def delete(ctx: Context, port_id: str) -> None:
    """Delete a port; those of routers go with what they are for."""
    record, target = attributes.seen(ctx, port_id)
    ctx.allow(target)
    if record.device_owner in OF_ROUTERS and record.device_id:
        raise ServicePortInUse(id=record.id, device_owner=record.device_owner)
    drop(ctx.session, record)


def _created(ctx: Context, wanted: Sequence[PortCreate]) -> list[tuple[PortRecord, NewPort]]:
    """The new ports, in the order in which they were asked for."""
    seen: dict[str, NetworkRecord] = {}
    by_network: dict[str, list[tuple[int, NewPort]]] = {}
    counts: dict[str, int] = {}
    for index_, body in enumerate(wanted):
        if body.network_id not in seen:
            seen[body.network_id] = networks.seen(ctx, body.network_id)
        new = _read(ctx, body, seen[body.network_id])
        counts[new.project_id] = counts.get(new.project_id, 0) + 1
        by_network.setdefault(body.network_id, []).append((index_, new))
    for project_id, count in counts.items():
        quotas.check(ctx.session, project_id, {"port": count})
    made: dict[int, tuple[PortRecord, NewPort]] = {}
    for network_id, several in by_network.items():
        records = add.many(ctx.session, seen[network_id], [new for _, new in several])
        made |= {at: (record, new) for (at, new), record in zip(several, records, strict=True)}
    in_order = [made[each] for each in range(len(wanted))]
    bound = [record for record, _ in in_order if record.host]
    if bound:
        bind.announce(ctx.session, bound)
    return in_order


def _read(ctx: Context, body: PortCreate, network: NetworkRecord) -> NewPort:
    """A port as it was asked for, if the caller may ask for that."""
    given = given_in(body)
    del given["network_id"]
    project_id = rules.owner_of(ctx, given.pop("project_id", None), given.pop("tenant_id", None))
    target = attributes.target_of(project_id, network)
    ctx.allow(target)
    judge(ctx, attributes.CREATE, [*said(given), *_judged(given, None)], target)
    own_mac, fixed = given.pop("mac_address", None), given.pop("fixed_ips", None)
    groups = given.pop("security_groups", None)
    pairs, options = given.pop("allowed_address_pairs", None), given.pop("extra_dhcp_opts", None)
    name = given.pop("dns_name", None)
    new = NewPort(project_id, mac(own_mac) if own_mac else "", attributes={
        key: "" if value is None and key in ("host", "device_id", "device_owner") else value
        for key, value in given.items() if not (value is None and key == "binding_profile")
    })  # fmt: skip
    if pairs and not new.mac:
        new.mac = change.fresh_mac(ctx.session, network.id)
    if fixed is not None:
        new.fixed = change.fixed_of(fixed)
    is_secured = given.get("port_security_enabled", network.port_security_enabled)
    if groups is not None or not is_secured:
        is_admin = rules.is_admin(ctx)
        new.groups = checked_groups(ctx.session, project_id, groups or (), is_admin=is_admin)
    found = checks.pairs_of(pairs, new.mac)
    checks.check_security(is_secured, new.groups or (), found, are_new=True)
    if found:
        new.attributes["allowed_address_pairs"] = found
    if options:
        new.attributes["extra_dhcp_opts"] = checks.options_of(options)
    if name:
        new.attributes["dns_name"] = domain_name(name).removesuffix(".")
    return new


def _judged(given: dict[str, Any], record: PortRecord | None) -> list[str]:
    """The attributes that are said and need a right; those of networks' own devices need more."""
    names = [each for each in given if record is not None and each != "mac_address"]
    if record is not None and (given.get("mac_address") or record.mac_address) != (
        record.mac_address
    ):
        names.append("mac_address")
    if record is None and given.get("port_security_enabled") is False:
        names.append("port_security_enabled")
    if any(each.ip_address for each in given.get("fixed_ips") or ()):
        names.append("address")
    before = record.device_owner if record is not None else ""
    owner = given.get("device_owner", before) or ""
    is_changed = record is None or "device_owner" in given or "device_id" in given
    if is_changed and (owner.startswith("network:") or before.startswith("network:")):
        names.append("network_device")
    return names
