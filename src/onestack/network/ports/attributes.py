"""What clients may say of a port, who may say it, and how they see it."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from sqlalchemy import ColumnElement, and_, select

from onestack.core.context import Context
from onestack.core.db import by_key
from onestack.core.shapes import UNSET, Id, Meta, Shape, UnsetType, field
from onestack.network import rules
from onestack.network.attributes import InvalidInput, Text, address
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.record import AddressRecord, PortNotFound, PortRecord
from onestack.network.security_groups.record import PortSecurityGroupRecord

# Who owns a network sees and rules what is on it.
NETWORK_READER = "(role:reader and project_id:%(network:tenant_id)s)"
NETWORK_OWNER = "(role:member and project_id:%(network:tenant_id)s)"
SERVICE = "rule:service_api"
TRUSTED = f"{rules.ADMIN} or {SERVICE}"
ON_OWN_NETWORK = f"{TRUSTED} or {NETWORK_OWNER}"
GET = rules.rule("get_port", f"{TRUSTED} or {rules.READER} or {NETWORK_READER}")
CREATE_RULE = rules.rule("create_port", f"{TRUSTED} or {rules.MEMBER}")
UPDATE_RULE = rules.rule("update_port", f"{TRUSTED} or {rules.MEMBER}")
DELETE_RULE = rules.rule("delete_port", f"{TRUSTED} or {rules.MEMBER} or {NETWORK_OWNER}")
SEES_BINDING = rules.rule("get_port:binding:host_id", TRUSTED)

# Attributes that only some may set: the name of upstream's rule, and its check.
RESTRICTED = {
    "mac_address": ("mac_address", ON_OWN_NETWORK),
    "fixed_ips": ("fixed_ips", f"{ON_OWN_NETWORK} or 'True':%(network:shared)s"),
    "address": ("fixed_ips:ip_address", ON_OWN_NETWORK),
    "port_security_enabled": ("port_security_enabled", ON_OWN_NETWORK),
    "allowed_address_pairs": ("allowed_address_pairs", f"{rules.ADMIN} or {NETWORK_OWNER}"),
    "network_device": ("device_owner", TRUSTED),
    "host": ("binding:host_id", TRUSTED),
    "binding_profile": ("binding:profile", TRUSTED),
}
CREATE = {k: rules.rule(f"create_port:{name}", check) for k, (name, check) in RESTRICTED.items()}
UPDATE = {k: rules.rule(f"update_port:{name}", check) for k, (name, check) in RESTRICTED.items()}
UPDATE["mac_address"] = rules.rule("update_port:mac_address", TRUSTED)
JUDGED_TOO = (*CREATE.values(), *UPDATE.values(), SEES_BINDING)

VnicType = Literal[
    "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder"
]


class FixedIp(Shape, forbid_unknown_fields=True):
    """An address, or a subnet to take one from."""

    subnet_id: Id | None = None
    ip_address: str | None = None


class AddressPairBody(Shape, forbid_unknown_fields=True):
    """An address that a port may send from besides its own."""

    ip_address: str
    mac_address: str | None = None


class DhcpOptionBody(Shape, forbid_unknown_fields=True):
    """An option that a port asks for; without a value, it asks no more."""

    opt_name: str
    opt_value: str | None = None
    ip_version: Literal[4, 6, "4", "6"] = 4


class PortUpdate(Shape, forbid_unknown_fields=True):
    """What to change of a port."""

    name: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET
    admin_state_up: bool | UnsetType = UNSET
    mac_address: str | UnsetType | None = UNSET
    fixed_ips: list[FixedIp] | UnsetType | None = UNSET
    device_id: Text | UnsetType | None = UNSET
    device_owner: Text | UnsetType | None = UNSET
    security_groups: list[str] | UnsetType | None = UNSET
    allowed_address_pairs: list[AddressPairBody] | UnsetType | None = UNSET
    extra_dhcp_opts: list[DhcpOptionBody] | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    dns_name: Text | UnsetType | None = UNSET
    host: Text | UnsetType | None = field(default=UNSET, name="binding:host_id")
    vnic_type: VnicType | UnsetType = field(default=UNSET, name="binding:vnic_type")
    binding_profile: dict[str, Any] | UnsetType | None = field(
        default=UNSET, name="binding:profile"
    )


class PortCreate(PortUpdate, forbid_unknown_fields=True, kw_only=True):
    """A port to make."""

    network_id: Id
    propagate_uplink_status: bool | UnsetType = UNSET
    project_id: str | UnsetType | None = UNSET
    tenant_id: str | UnsetType | None = UNSET


class PortsCreate(Shape, forbid_unknown_fields=True):
    """A port to make, or several."""

    port: PortCreate | UnsetType = UNSET
    ports: Annotated[list[PortCreate], Meta(max_length=1000)] | UnsetType = UNSET


class PortView(Shape):
    """A port."""

    id: str
    name: str
    network_id: str
    tenant_id: str
    project_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str
    fixed_ips: list[dict[str, str]]
    security_groups: list[str]
    allowed_address_pairs: list[dict[str, str]]
    extra_dhcp_opts: list[dict[str, Any]]
    port_security_enabled: bool
    vnic_type: str = field(name="binding:vnic_type")
    dns_name: str
    dns_assignment: list[dict[str, str]]
    propagate_uplink_status: bool
    description: str
    tags: list[str]
    created_at: str
    updated_at: str
    revision_number: int
    ip_allocation: str = "immediate"
    host: str | UnsetType = field(default=UNSET, name="binding:host_id")
    vif_type: str | UnsetType = field(default=UNSET, name="binding:vif_type")
    vif_details: dict[str, Any] | UnsetType = field(default=UNSET, name="binding:vif_details")
    binding_profile: dict[str, Any] | UnsetType = field(default=UNSET, name="binding:profile")


class PortsAnswer(Shape):
    """The port that was made, or several."""

    port: PortView | UnsetType = UNSET
    ports: list[PortView] | UnsetType = UNSET


def seen(ctx: Context, port_id: str) -> tuple[PortRecord, dict[str, object]]:
    """A port that the caller may know of, and what rules judge by."""
    record = by_key(ctx.session, PortRecord, port_id)
    if record is None:
        raise PortNotFound(id=port_id[:64])
    network = ctx.session.get(NetworkRecord, record.network_id)
    assert network is not None
    target = target_of(record.project_id, network)
    if ctx.policy.decide(GET.name, ctx.caller.credentials, _Named(target)) is not True:
        raise PortNotFound(id=port_id[:64])
    return record, target


def target_of(project_id: str, network: NetworkRecord) -> dict[str, object]:
    """A port as rules name it."""
    return {
        "project_id": project_id,
        "tenant_id": project_id,
        "network_id": network.id,
        "network:tenant_id": network.project_id,
        "network:project_id": network.project_id,
        "network:shared": network.shared,
    }


def visible() -> Mapping[str, ColumnElement[Any]]:
    """What the rule on reading ports judges by, as columns."""
    columns = PortRecord.__table__.c
    owner = select(NetworkRecord.project_id).where(NetworkRecord.id == columns.network_id)
    return {"project_id": columns.project_id, "network:tenant_id": owner.scalar_subquery()}


def with_addresses(_ctx: Context, values: list[str]) -> ColumnElement[bool]:
    """Ports that have one of some addresses, an address like this, or one of some subnets."""
    wanted: dict[str, list[str]] = {}
    for each in values:
        name, separator, value = each.partition("=")
        if not separator or name not in ("ip_address", "subnet_id", "ip_address_substr"):
            raise InvalidInput(reason=f"'{each[:64]}' is no filter of fixed_ips")
        wanted.setdefault(name, []).append(value)
    conditions: list[ColumnElement[bool]] = []
    if "ip_address" in wanted:
        texts = [address(each) for each in wanted["ip_address"]]
        conditions.append(AddressRecord.ip_address.in_(texts))
    if "subnet_id" in wanted:
        conditions.append(AddressRecord.subnet_id.in_(wanted["subnet_id"]))
    conditions += [AddressRecord.ip_address.contains(each, autoescape=True)
                   for each in wanted.get("ip_address_substr", ())]  # fmt: skip
    found = select(AddressRecord.port_id).where(and_(*conditions))
    return PortRecord.__table__.c.id.in_(found)


def guarded_by(_ctx: Context, values: list[str]) -> ColumnElement[bool]:
    """Ports that one of some security groups guards."""
    found = select(PortSecurityGroupRecord.port_id).where(
        PortSecurityGroupRecord.security_group_id.in_(values)
    )
    return PortRecord.__table__.c.id.in_(found)


class _Named:
    """A target by the names that rules use."""

    def __init__(self, names: Mapping[str, object]) -> None:
        self._names = names

    def get(self, dotted_name: str, /) -> object:
        return self._names[dotted_name]
