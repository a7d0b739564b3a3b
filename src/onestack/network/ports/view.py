"""Ports as clients see them: of any number, in a few statements."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from onestack.core.context import Context
from onestack.core.listed import among
from onestack.network import lists
from onestack.network.ports.add import NewPort
from onestack.network.ports.attributes import (
    SEES_BINDING,
    PortView,
    guarded_by,
    with_addresses,
)
from onestack.network.ports.record import AddressRecord, PortRecord
from onestack.network.security_groups.record import PortSecurityGroupRecord
from onestack.network.standard import iso

DOMAIN = "openstacklocal"
DASHED = str.maketrans(".:", "--")
VIF = {"port_filter": True, "connectivity": "l2"}

_ADDRESSES = cast(Table, AddressRecord.__table__)
_GUARDS = cast(Table, PortSecurityGroupRecord.__table__)
_ADDRESSES_OF = (
    select(_ADDRESSES.c.port_id, _ADDRESSES.c.subnet_id, _ADDRESSES.c.ip_address)
    .where(among(_ADDRESSES.c.port_id, "ids"))
    .order_by(_ADDRESSES.c.position)
)
_GUARDS_OF = (
    select(_GUARDS.c.port_id, _GUARDS.c.security_group_id)
    .where(among(_GUARDS.c.port_id, "ids"))
    .order_by(_GUARDS.c.security_group_id)
)


def views(ctx: Context, rows: Sequence[Any]) -> list[PortView]:
    """Ports as this client sees them."""
    ids = [each.id for each in rows]
    addresses, groups = _addresses(ctx.session, ids), _groups(ctx.session, ids)
    sees = _sees_binding(ctx)
    return [view(each, addresses.get(each.id, ()), groups.get(each.id, []), sees) for each in rows]


def views_of_new(ctx: Context, made: Iterable[tuple[PortRecord, NewPort]]) -> list[PortView]:
    """Ports that were made just now: nothing is read again."""
    sees = _sees_binding(ctx)
    return [view(record, new.given, new.guards, sees) for record, new in made]


NOUN: lists.Noun[PortView] = lists.Noun(
    PortRecord,
    PortView,
    views,
    columns={"binding:host_id": "host", "binding:vnic_type": "vnic_type"},
    filters={"fixed_ips": with_addresses, "security_groups": guarded_by},
)


def view(
    row: Any, addresses: Iterable[tuple[str, str]], groups: Sequence[str], sees_binding: bool
) -> PortView:
    """A port as clients see it; its binding is for administrators and services."""
    fixed = [{"subnet_id": subnet_id, "ip_address": address} for subnet_id, address in addresses]
    shown = PortView(
        id=row.id, name=row.name, network_id=row.network_id, tenant_id=row.project_id,
        project_id=row.project_id, mac_address=row.mac_address,
        admin_state_up=row.admin_state_up, status=row.status, device_id=row.device_id,
        device_owner=row.device_owner, fixed_ips=fixed, security_groups=list(groups),
        allowed_address_pairs=row.allowed_address_pairs, extra_dhcp_opts=row.extra_dhcp_opts,
        port_security_enabled=row.port_security_enabled, vnic_type=row.vnic_type,
        dns_name=row.dns_name, dns_assignment=_names(row.dns_name, fixed),
        propagate_uplink_status=row.propagate_uplink_status, description=row.description,
        tags=row.tags, created_at=iso(row.created_at), updated_at=iso(row.updated_at),
        revision_number=row.revision_number,
    )  # fmt: skip
    if sees_binding:
        shown.host, shown.binding_profile = row.host, row.binding_profile
        shown.vif_type = "bridge" if row.host else "unbound"
        shown.vif_details = VIF if row.host else {}
    return shown


def _sees_binding(ctx: Context) -> bool:
    return ctx.policy.decide(SEES_BINDING.name, ctx.caller.credentials, None) is True


def _names(name: str, fixed: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """What a port's addresses are called."""
    found = []
    for each in fixed:
        address = each["ip_address"]
        hostname = name or f"host-{address.translate(DASHED)}"
        fqdn = f"{hostname}.{DOMAIN}."
        found.append({"ip_address": address, "hostname": hostname, "fqdn": fqdn})
    return found


def _addresses(session: Session, ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """The (subnet, address) pairs of each port."""
    found: dict[str, list[tuple[str, str]]] = {}
    rows = session.connection().execute(_ADDRESSES_OF, {"ids": ids})
    for port_id, subnet_id, address in rows:
        found.setdefault(port_id, []).append((subnet_id, address))
    return found


def _groups(session: Session, ids: Sequence[str]) -> dict[str, list[str]]:
    """The groups that guard each port."""
    found: dict[str, list[str]] = {}
    for port_id, group_id in session.connection().execute(_GUARDS_OF, {"ids": ids}):
        found.setdefault(port_id, []).append(group_id)
    return found
