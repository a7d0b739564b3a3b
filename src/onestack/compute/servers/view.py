"""Servers as clients see them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, cast

import msgspec

from onestack.compute import rules, server_groups
from onestack.compute.servers import attached, moments
from onestack.compute.servers.attached import AttachedVolume
from onestack.compute.servers.host_ids import host_id
from onestack.compute.servers.host_statuses import statuses
from onestack.compute.servers.networking import Nics, nics_of
from onestack.compute.servers.record import ServerColumns, tags_of
from onestack.compute.servers.states import status_of
from onestack.compute.style import ROOT, links
from onestack.core.context import Context
from onestack.core.moments import precise
from onestack.core.shapes import UNSET, Link, Shape, UnsetType, cut, field, since, until

ATTRIBUTES = rules.rule("os-extended-server-attributes")
HOST_STATUS = rules.rule("servers:show:host_status")
FLAVOR_SPECS = rules.rule("servers:show:flavor-extra-specs", rules.READER)
JUDGED_TOO = (ATTRIBUTES, HOST_STATUS, FLAVOR_SPECS)

SHOWS_PROGRESS = frozenset(
    ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "MIGRATING")
)
SHOWS_FAULT = frozenset(("ERROR", "DELETED"))


class ServerSummary(Shape):
    """A server in a list."""

    id: str
    name: str
    links: list[Link]


class Address(Shape):
    """An address of a server."""

    version: int
    addr: str
    type: str = field(name="OS-EXT-IPS:type")
    mac_address: str = field(name="OS-EXT-IPS-MAC:mac_addr")


class ImageOfServer(Shape):
    """The image that a server was made of."""

    id: str
    links: list[Link]
    properties: Annotated[dict[str, Any] | UnsetType, since("2.98")] = UNSET


class FlavorOfServer(Shape):
    """How large a server is; before 2.47, which flavour it was made with."""

    id: Annotated[str, until("2.46")]
    links: Annotated[list[Link], until("2.46")]
    original_name: Annotated[str, since("2.47")]
    vcpus: Annotated[int, since("2.47")]
    ram: Annotated[int, since("2.47")]
    disk: Annotated[int, since("2.47")]
    ephemeral: Annotated[int, since("2.47")]
    swap: Annotated[int, since("2.47")]
    extra_specs: Annotated[dict[str, Any] | UnsetType, since("2.47")] = UNSET


class GroupName(Shape):
    name: str


class Fault(Shape):
    """Why a server is in error."""

    code: int
    created: str
    message: str
    details: str | UnsetType = UNSET


class ServerView(Shape):
    """A server."""

    id: str
    name: str
    status: str
    tenant_id: str
    user_id: str
    metadata: dict[str, Any]
    host_id: str = field(name="hostId")
    image: ImageOfServer | str
    flavor: FlavorOfServer
    created: str
    updated: str
    addresses: dict[str, list[Address]]
    access_ip_v4: str = field(name="accessIPv4")
    access_ip_v6: str = field(name="accessIPv6")
    links: list[Link]
    disk_config: str = field(name="OS-DCF:diskConfig")
    availability_zone: str = field(name="OS-EXT-AZ:availability_zone")
    config_drive: str
    key_name: str | None
    launched_at: str | None = field(name="OS-SRV-USG:launched_at")
    terminated_at: str | None = field(name="OS-SRV-USG:terminated_at")
    task_state: str | None = field(name="OS-EXT-STS:task_state")
    vm_state: str = field(name="OS-EXT-STS:vm_state")
    power_state: int = field(name="OS-EXT-STS:power_state")
    volumes_attached: list[AttachedVolume] = field(name="os-extended-volumes:volumes_attached")
    locked: Annotated[bool, since("2.9")]
    locked_reason: Annotated[str | None, since("2.73")]
    description: Annotated[str | None, since("2.19")]
    tags: Annotated[list[str], since("2.26")]
    trusted_image_certificates: Annotated[list[str] | None, since("2.63")]
    pinned_availability_zone: Annotated[str | None, since("2.96")]
    scheduler_hints: Annotated[dict[str, Any], since("2.100")]
    progress: int | UnsetType = UNSET
    security_groups: list[GroupName] | UnsetType = UNSET
    fault: Fault | UnsetType = UNSET
    # Of one that is rebuilt, alone.
    admin_password: str | UnsetType = field(default=UNSET, name="adminPass")
    plain_user_data: Annotated[str | UnsetType | None, since("2.57")] = field(
        default=UNSET, name="user_data"
    )
    server_groups: Annotated[list[str] | UnsetType, since("2.71")] = UNSET
    host_status: Annotated[str | UnsetType, since("2.16")] = UNSET
    # What administrators see besides.
    host: str | UnsetType | None = field(default=UNSET, name="OS-EXT-SRV-ATTR:host")
    instance_name: str | UnsetType = field(default=UNSET, name="OS-EXT-SRV-ATTR:instance_name")
    hypervisor_hostname: str | UnsetType | None = field(
        default=UNSET, name="OS-EXT-SRV-ATTR:hypervisor_hostname"
    )
    reservation_id: Annotated[str | UnsetType, since("2.3")] = field(
        default=UNSET, name="OS-EXT-SRV-ATTR:reservation_id"
    )
    launch_index: Annotated[int | UnsetType, since("2.3")] = field(
        default=UNSET, name="OS-EXT-SRV-ATTR:launch_index"
    )
    hostname: Annotated[str | UnsetType, since("2.3")] = field(
        default=UNSET, name="OS-EXT-SRV-ATTR:hostname"
    )
    kernel_id: Annotated[str | UnsetType, since("2.3")] = field(
        default=UNSET, name="OS-EXT-SRV-ATTR:kernel_id"
    )
    ramdisk_id: Annotated[str | UnsetType, since("2.3")] = field(
        default=UNSET, name="OS-EXT-SRV-ATTR:ramdisk_id"
    )
    root_device_name: Annotated[str | UnsetType | None, since("2.3")] = field(
        default=UNSET, name="OS-EXT-SRV-ATTR:root_device_name"
    )
    user_data: Annotated[str | UnsetType | None, since("2.3")] = field(
        default=UNSET, name="OS-EXT-SRV-ATTR:user_data"
    )


# What answers to changes show of a server before 2.75; from then on they show all of it.
OF_CHANGED = frozenset((
    "id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor",
    "created", "updated", "addresses", "accessIPv4", "accessIPv6", "links", "OS-DCF:diskConfig",
    "progress", "fault", "adminPass", "locked", "locked_reason", "description", "tags",
    "trusted_image_certificates", "server_groups", "user_data",
))  # fmt: skip
OF_ADDRESS = frozenset(("version", "addr"))


class Surroundings(msgspec.Struct):
    """What is shown of servers but is not in their own rows, for all servers of an answer."""

    sees_attributes: bool = False
    sees_specs: bool = False
    tags: Mapping[str, list[str]] = {}
    nics: Nics = {}
    volumes: Mapping[str, list[AttachedVolume]] = {}
    groups: Mapping[str, str] | None = None
    host_statuses: Mapping[str, str] | None = None


def summary(ctx: Context, server: ServerColumns) -> ServerSummary:
    """A server as a short list shows it."""
    return ServerSummary(id=server.id, name=server.name, links=links(ctx, f"servers/{server.id}"))


def one(ctx: Context, server: ServerColumns) -> ServerView:
    """A server as it is shown by itself."""
    return view(ctx, server, surroundings(ctx, [server], has_groups=True))


def changed(ctx: Context, server: ServerColumns, **more: Any) -> ServerView:
    """A server as the answer to a change shows it: flat already where it shows less than usual."""
    shown = one(ctx, server)
    for name, value in more.items():
        setattr(shown, name, value)
    if ctx.version >= (2, 75):
        return shown
    flat: dict[str, Any] = msgspec.to_builtins(cut(shown, ServerView, ctx.version))
    flat["addresses"] = {
        name: [{key: each[key] for key in OF_ADDRESS} for each in listed]
        for name, listed in flat["addresses"].items()
    }
    shows_key = ctx.version >= (2, 54) and "adminPass" in flat
    kept = OF_CHANGED | ({"key_name"} if shows_key else frozenset())
    return cast(ServerView, {name: value for name, value in flat.items() if name in kept})


def surroundings(
    ctx: Context, servers: Sequence[ServerColumns], *, has_groups: bool = False
) -> Surroundings:
    """What is to be shown of these servers besides, in a few statements however many they are."""
    ids = [server.id for server in servers]
    found = Surroundings(
        sees_attributes=rules.is_allowed_own(ctx, ATTRIBUTES),
        sees_specs=ctx.version >= (2, 47) and rules.is_allowed_own(ctx, FLAVOR_SPECS),
        nics=nics_of(ctx.session, ids),
        volumes=attached.volumes_of(ctx.session, ids),
    )
    if ctx.version >= (2, 26):
        found.tags = tags_of(ctx.session, ids)
    if has_groups and ctx.version >= (2, 71):
        found.groups = server_groups.by_server(ctx.session, ids)
    if ctx.version >= (2, 16) and rules.is_allowed_own(ctx, HOST_STATUS):
        found.host_statuses = statuses(ctx.session, {each.host for each in servers if each.host})
    return found


def view(ctx: Context, server: ServerColumns, around: Surroundings) -> ServerView:
    """A server as clients see it."""
    status = status_of(server.vm_state, server.task_state)
    nics = around.nics.get(server.id, ())
    shown = ServerView(
        id=server.id,
        name=server.name,
        status=status,
        tenant_id=server.project_id,
        user_id=server.user_id,
        metadata=server.metadata_items,
        host_id=host_id(server.project_id, server.host),
        image=_image(ctx, server),
        flavor=_flavor(ctx, server, around.sees_specs),
        created=moments.second(server.created_at),
        updated=moments.second(server.updated_at),
        addresses=addresses(nics),
        access_ip_v4=server.access_ip_v4 or "",
        access_ip_v6=server.access_ip_v6 or "",
        links=links(ctx, f"servers/{server.id}"),
        disk_config=server.disk_config,
        progress=server.progress if status in SHOWS_PROGRESS else UNSET,
        availability_zone=server.availability_zone or "",
        config_drive="True" if server.has_config_drive else "",
        key_name=server.key_name,
        launched_at=precise(server.launched_at),
        terminated_at=precise(server.terminated_at),
        security_groups=_group_names(nics),
        fault=_fault(server, around) if status in SHOWS_FAULT and server.fault else UNSET,
        task_state=server.task_state,
        vm_state=server.vm_state,
        power_state=server.power_state,
        volumes_attached=around.volumes.get(server.id, []),
        locked=server.locked_by is not None,
        locked_reason=server.locked_reason,
        description=server.description,
        tags=around.tags.get(server.id, []),
        trusted_image_certificates=server.trusted_certificates,
        pinned_availability_zone=server.pinned_zone,
        scheduler_hints=server.scheduler_hints or {},
    )
    _add_more(ctx, shown, server, around)
    return shown


def addresses(nics: Iterable[Any]) -> dict[str, list[Address]]:
    """A server's addresses, by the names of its networks."""
    found: dict[str, list[Address]] = {}
    for nic in nics:
        of_network = found.setdefault(nic.network_name, [])
        for kind, listed in (("fixed", nic.fixed_ips), ("floating", nic.floating_ips)):
            of_network += [
                Address(version=6 if ":" in each else 4, addr=each, type=kind, mac_address=nic.mac)
                for each in listed
            ]
    return found


def _add_more(ctx: Context, shown: ServerView, server: ServerColumns, around: Surroundings) -> None:
    """What only some are shown, or only some answers show."""
    if around.groups is not None:
        group = around.groups.get(server.id)
        shown.server_groups = [group] if group else []
    if around.host_statuses is not None:
        shown.host_status = around.host_statuses.get(server.host, "UNKNOWN") if server.host else ""
    if around.sees_attributes or ctx.version >= (2, 90):
        shown.hostname = server.hostname
    if not around.sees_attributes:
        return
    shown.host = shown.hypervisor_hostname = server.host
    shown.instance_name = f"instance-{server.number:08x}"
    shown.reservation_id, shown.launch_index = server.reservation_id, server.launch_index
    shown.kernel_id = str(server.image_properties.get("kernel_id", ""))
    shown.ramdisk_id = str(server.image_properties.get("ramdisk_id", ""))
    shown.root_device_name, shown.user_data = server.root_device_name, server.user_data


def _image(ctx: Context, server: ServerColumns) -> ImageOfServer | str:
    if server.image_id is None:
        return ""
    address = f"{ctx.request.base_url}{ROOT}/images/{server.image_id}"
    return ImageOfServer(
        id=server.image_id,
        links=[Link(rel="bookmark", href=address)],
        properties=server.image_properties,
    )


def _flavor(ctx: Context, server: ServerColumns, sees_specs: bool) -> FlavorOfServer:
    address = f"{ctx.request.base_url}{ROOT}/flavors/{server.flavor_id}"
    return FlavorOfServer(
        id=server.flavor_id,
        links=[Link(rel="bookmark", href=address)],
        original_name=server.flavor_name,
        vcpus=server.vcpus,
        ram=server.memory_mb,
        disk=server.root_gb,
        ephemeral=server.ephemeral_gb,
        swap=server.swap_mb,
        extra_specs=server.extra_specs if sees_specs else UNSET,
    )


def _group_names(nics: Iterable[Any]) -> list[GroupName] | UnsetType:
    names = [name for nic in nics for name in nic.security_groups]
    return [GroupName(name=name) for name in dict.fromkeys(names)] if names else UNSET


def _fault(server: ServerColumns, around: Surroundings) -> Fault:
    """Details are for administrators, unless the client itself was at fault."""
    fault = server.fault or {}
    shows_details = around.sees_attributes or fault.get("code") != 500
    return Fault(
        code=fault.get("code", 500),
        created=str(fault.get("created", "")),
        message=str(fault.get("message", "")),
        details=str(fault["details"]) if shows_details and "details" in fault else UNSET,
    )
