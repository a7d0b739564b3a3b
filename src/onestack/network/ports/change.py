"""Changing a port, and whom that concerns."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select

from onestack.core import clock
from onestack.core.context import Context
from onestack.core.errors import Conflict
from onestack.network import ipam, rules
from onestack.network.attributes import address, domain_name, mac
from onestack.network.floating_ips.associate import release_addresses
from onestack.network.ports import add, bind, checks
from onestack.network.ports.addresses import Allocator, Wish
from onestack.network.ports.record import AddressRecord, PortRecord, addresses_of
from onestack.network.ports.remove import touch_dhcp
from onestack.network.security_groups.ports import checked_groups, groups_of, keep_groups
from onestack.network.standard import touch
from onestack.network.subnets.record import of_network
from onestack.network.wirings import change

PLAIN = (
    "name", "description", "admin_state_up", "device_id", "device_owner", "vnic_type",
    "port_security_enabled", "binding_profile",
)  # fmt: skip
NEVER_NULL: dict[str, Any] = {"device_id": "", "device_owner": "", "binding_profile": {}}


class PortBound(Conflict):
    message = (
        "Unable to complete operation on port {id}, port is already bound, port type: bridge, "
        "old_mac {old}, new_mac {new}."
    )


def apply(ctx: Context, record: PortRecord, given: dict[str, Any]) -> None:
    """Let a port be as it was said."""
    session = ctx.session
    before = _groups(ctx, record)
    _change_mac(ctx, record, given.get("mac_address"))
    for name in PLAIN:
        if name in given:
            value = given[name]
            setattr(record, name, NEVER_NULL[name] if value is None else value)
    if "dns_name" in given:
        record.dns_name = domain_name(given["dns_name"]).removesuffix(".")
    if "extra_dhcp_opts" in given:
        options = checks.options_of(given["extra_dhcp_opts"], record.extra_dhcp_opts)
        record.extra_dhcp_opts = options
    if "allowed_address_pairs" in given:
        pairs = checks.pairs_of(given["allowed_address_pairs"], record.mac_address)
        record.allowed_address_pairs = pairs
    groups = before
    if "security_groups" in given:
        wanted = given["security_groups"] or ()
        groups = checked_groups(session, record.project_id, wanted, is_admin=rules.is_admin(ctx))
    are_new = bool(given.get("security_groups"))
    pairs = record.allowed_address_pairs
    checks.check_security(record.port_security_enabled, groups, pairs, are_new=are_new)
    if groups != before:
        keep_groups(session, [record.id], groups)
    if given.get("fixed_ips") is not None:
        _change_addresses(ctx, record, fixed_of(given["fixed_ips"]))
    touch(record)
    session.flush()
    _tell(ctx, record, set(before) | set(groups))
    if "host" in given and (given["host"] or "") != record.host:
        bind.bind(session, [record.id], given["host"] or "")


def fixed_of(given: Sequence[Any]) -> list[tuple[str | None, str | None]]:
    """Addresses as they were asked for: of which subnet, and which."""
    return [
        (each.subnet_id, None if each.ip_address is None else address(each.ip_address))
        for each in given
    ]


def fresh_mac(session: Any, network_id: str) -> str:
    """A MAC address that nobody on a network has."""
    chance = clock.randomness()
    while True:
        found = ipam.new_mac(chance)
        taken = select(PortRecord.id).where(
            PortRecord.network_id == network_id, PortRecord.mac_address == found
        )
        if session.scalar(taken) is None:
            return found


def _groups(ctx: Context, record: PortRecord) -> list[str]:
    return groups_of(ctx.session, [record.id]).get(record.id, [])


def _change_mac(ctx: Context, record: PortRecord, wanted: str | None) -> None:
    new = record.mac_address if wanted is None else mac(wanted)
    if new == record.mac_address:
        return
    if record.host:
        raise PortBound(id=record.id, old=record.mac_address, new=new)
    add.refuse_mac(ctx.session, record.network_id, new)
    record.mac_address = new


def _change_addresses(
    ctx: Context, record: PortRecord, wanted: Sequence[tuple[str | None, str | None]]
) -> None:
    """Keep the addresses that are still wanted, give back the others, and take what is missing."""
    session = ctx.session
    left = {each.ip_address: each.subnet_id for each in addresses_of(session, record.id)}
    kept: list[tuple[str, str]] = []
    missing: list[tuple[str | None, str | None]] = []
    for subnet_id, wanted_address in wanted:
        found = next(
            (known for known, of in left.items()
             if (known == wanted_address or (wanted_address is None and of == subnet_id))
             and subnet_id in (None, of)),
            None,
        )  # fmt: skip
        if found is None:
            missing.append((subnet_id, wanted_address))
        else:
            kept.append((left.pop(found), found))
    release_addresses(session, record.id, left)
    session.execute(delete(AddressRecord).where(AddressRecord.port_id == record.id))
    subnets = of_network(session, record.network_id)
    allocator = Allocator(session, record.network_id, subnets)
    wish = Wish(record.id, record.mac_address, record.device_owner, missing, given=kept)
    allocator.give([wish])
    allocator.keep([wish])


def _tell(ctx: Context, record: PortRecord, groups: set[str]) -> None:
    """Whom a change concerns: the port's host, its routers, DHCP, and the members' groups."""
    session = ctx.session
    if record.device_owner.startswith("network:router_"):
        change.touch(session, "router", [record.device_id])
    if not (record.host or record.next_host):
        return
    change.touch(session, "port", [record.id])
    change.touch(session, "group", groups)
    touch_dhcp(session, {record.network_id})
    change.ring(session, [record.host, record.next_host])
