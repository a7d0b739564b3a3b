"""Create servers: one, or several that are alike."""

import base64
import binascii
import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, insert

from onestack import volume
from onestack.compute import keypairs, quotas, rules, server_groups
from onestack.compute.flavors import record as flavors
from onestack.compute.flavors.record import FlavorNotFound, FlavorRecord
from onestack.compute.keypairs import KeypairNotFound, KeypairRecord
from onestack.compute.lenient import flag, whole
from onestack.compute.rules import is_admin
from onestack.compute.servers import disks, instance_actions, networking, sources, zones
from onestack.compute.servers.build import Build
from onestack.compute.servers.config_drive import Secrets
from onestack.compute.servers.disks import Disk
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord, ServerTagRecord
from onestack.compute.servers.wanted import NewServer, NewServerBody, NewServerView
from onestack.compute.servers.zones import Whereabouts
from onestack.compute.style import links
from onestack.core import clock
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.core.sequence import draw
from onestack.core.shapes import UNSET, Shape, UnsetType
from onestack.image import Image
from onestack.network import Requested

api = Operations("servers")

ATTACH_NETWORK = rules.rule("servers:create:attach_network", rules.MEMBER)
ATTACH_VOLUME = rules.rule("servers:create:attach_volume", rules.MEMBER)
TRUSTED_CERTIFICATES = rules.rule("servers:create:trusted_certs", rules.MEMBER)
ZERO_DISK = rules.rule("servers:create:zero_disk_flavor")
JUDGED_TOO = (
    ATTACH_NETWORK, ATTACH_VOLUME, TRUSTED_CERTIFICATES, ZERO_DISK,
    zones.FORCED_HOST, zones.REQUESTED_HOST,
)  # fmt: skip

PASSWORD_LENGTH = 12
UNAMBIGUOUS = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"


class InvalidKey(BadRequest):
    message = "Invalid key_name provided."


class BadUserData(BadRequest):
    message = "Userdata content needs to be valid base64."


class TooMuchMetadata(Forbidden):
    message = "Maximum number of metadata items exceeds {most}"


class TooManyFiles(Forbidden):
    message = "Personality file limit exceeded. {reason}"


class CreatedBody(Shape):
    """What is known of new servers at once."""

    server: NewServerView | UnsetType = UNSET
    reservation_id: str | UnsetType = UNSET


@dataclass(kw_only=True)
class Order:
    """A request for servers, checked."""

    wanted: NewServer
    flavor: FlavorRecord
    extra_specs: dict[str, str]
    image: Image | None
    image_properties: dict[str, str]
    disks: list[Disk]
    ports: list[Requested]
    where: Whereabouts
    hints: dict[str, Any]
    group_id: str | None
    key: KeypairRecord | None
    password: str
    count_min: int = 1
    count: int = 1
    reservation_id: str = field(default_factory=lambda: f"r-{_drawn(8)}")


@api.post("/v2.1/servers", rules.rule("servers:create", rules.MEMBER), status=202)
def create(ctx: Context, body: NewServerBody) -> Reply:
    """Create a server."""
    rules.allow_own(ctx)
    order = _order(ctx, body)
    _check_quotas(ctx, order)
    servers = _enter(ctx, order)
    for server in servers:
        _begin(ctx, order, server)
    if flag(order.wanted.return_reservation_id):
        return Reply(CreatedBody(reservation_id=order.reservation_id))
    first = servers[0]
    shown = NewServerView(
        id=first.id, links=links(ctx, f"servers/{first.id}"), disk_config=first.disk_config,
        security_groups=[{"name": name} for name in first.security_groups or ["default"]],
        admin_password=order.password,
    )  # fmt: skip
    return Reply(CreatedBody(server=shown), headers={"Location": shown.links[0].href})


def _order(ctx: Context, body: NewServerBody) -> Order:
    """What is wanted, refused if it cannot be."""
    wanted, session, project_id = body.server, ctx.session, ctx.caller.project_id
    _check_texts(wanted)
    flavor = _flavor(ctx, str(wanted.flavor_ref))
    if not (wanted.image_ref or wanted.disks or wanted.old_disks):
        raise BadRequest("Missing imageRef attribute")
    found = sources.image_of(ctx, wanted.image_ref or None)
    planned = disks.plan(
        wanted.disks, wanted.old_disks, found.id if found else None, sources.disks_of(found)
    )
    if any(each.destination_type == "volume" for each in planned):
        rules.allow_own(ctx, rule=ATTACH_VOLUME)
    disks.check_sources(session, planned, project_id)
    root = planned[0]
    found, properties = sources.of_root(ctx, root, found)
    if root.destination_type == "local":
        sources.check_room(found, flavor)
        if flavor.root_gb == 0:
            rules.allow_own(ctx, rule=ZERO_DISK)
    least, most = _counts(wanted)
    if most > 1 and any(each.source_type == "volume" for each in planned):
        raise BadRequest("Cannot attach one or more volumes to multiple instances")
    hints = {**(body.old_hints or {}), **(body.hints or {})}
    if wanted.trusted_image_certificates is not None:
        rules.allow_own(ctx, rule=TRUSTED_CERTIFICATES)
    return Order(
        wanted=wanted, flavor=flavor, image=found, image_properties=properties,
        extra_specs=flavors.extra_specs_of(session, flavor.id),
        disks=disks.with_flavor(planned, flavor), ports=_ports(ctx, wanted, most),
        where=zones.read(
            ctx, wanted.availability_zone, wanted.host, wanted.hypervisor_hostname
        ),
        hints=hints, group_id=_group(ctx, hints), key=_key(ctx, wanted.key_name),
        password=wanted.admin_password or new_password(), count_min=least, count=most,
    )  # fmt: skip


def _check_texts(wanted: NewServer) -> None:
    if wanted.user_data is not None:
        check_user_data(wanted.user_data)
    for name, address, version in (
        ("accessIPv4", wanted.access_ip_v4, 4), ("accessIPv6", wanted.access_ip_v6, 6),
    ):  # fmt: skip
        check_address(name, address, version)


def check_user_data(text: str) -> None:
    """Refuse what is not base64."""
    _decoded(text, BadUserData())


def check_address(name: str, text: str | None, version: int) -> None:
    """Refuse what is no address of this version of IP."""
    if not text:
        return
    try:
        is_right = ip_address(text).version == version
    except ValueError:
        is_right = False
    if not is_right:
        raise BadRequest(
            f"Invalid input for field/attribute {name}. Value: {text[:80]}. "
            f"{text[:80]!r} is not a 'ipv{version}'"
        )


def canonical(text: str | None) -> str | None:
    """An address as it is written shortest; nothing where none is said."""
    return str(ip_address(text)) if text else None


def _flavor(ctx: Context, flavor_id: str) -> FlavorRecord:
    try:
        return flavors.find(ctx.session, flavor_id, ctx.caller.project_id, is_admin=is_admin(ctx))
    except FlavorNotFound as error:
        raise BadRequest(error.text) from None


def _counts(wanted: NewServer) -> tuple[int, int]:
    """How many servers there shall be at least, and at most."""
    least = whole(wanted.min_count if wanted.min_count is not None else 1, "min_count", least=1)
    given = wanted.max_count
    most = max(least, 1) if given is None else whole(given, "max_count", least=1)
    if least > most:
        raise BadRequest("min_count must be <= max_count")
    if most > 1 and wanted.hostname:
        raise BadRequest("A hostname cannot be specified for several servers at once.")
    return least, most


def _ports(ctx: Context, wanted: NewServer, count: int) -> list[Requested]:
    """The ports that each server shall have."""
    asked = wanted.networks if ctx.version >= (2, 37) else wanted.few_networks
    if isinstance(asked, list) and asked:
        rules.allow_own(ctx, rule=ATTACH_NETWORK)
    return networking.planned(ctx, asked, count)


def _group(ctx: Context, hints: dict[str, Any]) -> str | None:
    group_id = hints.get("group")
    if group_id is None:
        return None
    if not isinstance(group_id, str):
        raise BadRequest("Invalid input for field/attribute group.")
    try:
        return server_groups.find(ctx.session, group_id, ctx.caller.project_id).id
    except server_groups.ServerGroupNotFound as error:
        raise BadRequest(error.text) from None


def _key(ctx: Context, name: str | None) -> KeypairRecord | None:
    if name is None:
        return None
    try:
        return keypairs.find(ctx.session, ctx.caller.user_id, name)
    except KeypairNotFound:
        raise InvalidKey from None


def _check_quotas(ctx: Context, order: Order) -> None:
    """Refuse what is too much; where a range is asked for, as many as there may be are made."""
    project_id, user_id = str(ctx.caller.project_id), ctx.caller.user_id
    wanted = order.wanted
    if wanted.metadata or wanted.personality:
        limits = quotas.limits_of(ctx.session, project_id)
        if 0 <= limits["metadata_items"] < len(wanted.metadata):
            raise TooMuchMetadata(most=limits["metadata_items"])
        _check_files(wanted, limits)
    while True:
        asked = {
            "instances": order.count, "cores": order.count * order.flavor.vcpus,
            "ram": order.count * order.flavor.memory_mb,
        }  # fmt: skip
        try:
            quotas.check(ctx.session, project_id, user_id, asked)
        except Forbidden:
            if order.count <= order.count_min:
                raise
            order.count -= 1
        else:
            break
    if order.group_id is not None:
        quotas.check_members(ctx.session, project_id, order.group_id, order.count)


def _check_files(wanted: NewServer, limits: dict[str, int]) -> None:
    if 0 <= limits["injected_files"] < len(wanted.personality):
        raise TooManyFiles(reason="Reduce the number of files.")
    for each in wanted.personality:
        content = _decoded(
            each.contents, BadRequest("Personality content for {} cannot be decoded")
        )
        if 0 <= limits["injected_file_content_bytes"] < len(content):
            raise TooManyFiles(reason="Reduce the size of file contents.")
        if 0 <= limits["injected_file_path_bytes"] < len(each.path):
            raise TooManyFiles(reason="Reduce the length of file paths.")


def _enter(ctx: Context, order: Order) -> list[ServerRecord]:
    """The servers' rows, all in a few statements."""
    ids = [str(UUID(clock.new_id())) for _ in range(order.count)]
    last = draw(ctx.session.connection(), "servers", order.count)
    servers = [
        _server(ctx, order, server_id, at, last - order.count + 1 + at)
        for at, server_id in enumerate(ids)
    ]
    ctx.session.add_all(servers)
    ctx.session.flush()
    _add_disks(ctx, order, ids)
    if order.wanted.tags:
        ctx.session.add_all(
            ServerTagRecord(server_id=each, tag=tag)
            for each in ids
            for tag in dict.fromkeys(order.wanted.tags)
        )
    if order.group_id is not None:
        server_groups.join(ctx.session, order.group_id, ids)
    if order.ports:
        _claim_ports(ctx, order, servers)
    instance_actions.begin_all(ctx.session, servers, "create", ctx.caller)
    return servers


def _claim_ports(ctx: Context, order: Order, servers: list[ServerRecord]) -> None:
    for server in servers:
        try:
            networking.claim(ctx.session, server, order.ports, server.security_groups)
        except NotFound as error:
            raise BadRequest(error.text) from None


def _server(ctx: Context, order: Order, server_id: str, at: int, number: int) -> ServerRecord:
    wanted, flavor, now = order.wanted, order.flavor, clock.now()
    name = wanted.name if order.count == 1 else f"{wanted.name}-{at + 1}"
    return ServerRecord(
        id=server_id, number=number, project_id=str(ctx.caller.project_id),
        user_id=ctx.caller.user_id, name=name,
        description=wanted.description if ctx.version >= (2, 19) else name,
        hostname=wanted.hostname or hostname_of(name, server_id),
        image_id=wanted.image_ref or None, image_properties=order.image_properties,
        flavor_id=flavor.id, flavor_name=flavor.name, vcpus=flavor.vcpus,
        memory_mb=flavor.memory_mb, root_gb=flavor.root_gb, ephemeral_gb=flavor.ephemeral_gb,
        swap_mb=flavor.swap_mb, extra_specs=order.extra_specs,
        key_name=order.key.name if order.key else None,
        public_key=order.key.public_key if order.key else None,
        user_data=wanted.user_data,
        has_config_drive=flag(wanted.config_drive) or _needs_drive(order),
        pinned_zone=order.where.zone, availability_zone=order.where.zone, vm_state="building",
        task_state="scheduling",
        metadata_items=dict(wanted.metadata), access_ip_v4=canonical(wanted.access_ip_v4),
        access_ip_v6=canonical(wanted.access_ip_v6), disk_config=_disk_config(order),
        reservation_id=order.reservation_id, launch_index=at, root_device_name="/dev/vda",
        security_groups=[each.name for each in wanted.security_groups or ()],
        scheduler_hints=order.hints or None,
        trusted_certificates=wanted.trusted_image_certificates, created_at=now, updated_at=now,
    )  # fmt: skip


def hostname_of(name: str, server_id: str) -> str:
    """A name for a host, made of a server's name."""
    text = re.sub(r"[ _.]", "-", name.encode("ascii", "ignore").decode().lower())
    text = re.sub(r"[^a-z0-9-]", "", text).strip("-")[:63].strip("-")
    return text or f"server-{server_id}"


def _needs_drive(order: Order) -> bool:
    """Whether the image insists on a config drive, or there are files that only one can bring."""
    return order.image_properties.get("img_config_drive") == "mandatory" or bool(
        order.wanted.personality
    )


def _disk_config(order: Order) -> str:
    asked = order.wanted.disk_config
    of_image = order.image_properties.get("auto_disk_config", "").lower()
    if asked == "AUTO" and of_image in ("false", "0", "no"):
        raise BadRequest("Requested image has automatic disk resize disabled.")
    return asked or ("AUTO" if of_image in ("true", "1", "yes") else "MANUAL")


def _add_disks(ctx: Context, order: Order, ids: Sequence[str]) -> None:
    rows = [row for each in ids for row in disks.rows(each, order.disks)]
    for row in rows:
        if row.volume_id is not None:
            found = volume.volume_of(ctx.session, row.volume_id, ctx.caller.project_id)
            reserved = volume.reserve(ctx.session, found, row.server_id, is_of_server=True)
            row.attachment_id, row.size_gb = reserved.id, found.size
    table = cast(Table, BlockDeviceRecord.__table__)
    names = [column.name for column in table.c]
    values = [{name: getattr(row, name) for name in names} for row in rows]
    for each in values:
        each["is_attached"] = False
    ctx.session.connection().execute(insert(table), values)


def _begin(ctx: Context, order: Order, server: ServerRecord) -> None:
    """Start the server's building."""
    told = Secrets(
        order.password if server.has_config_drive else "",
        {each.path: each.contents for each in order.wanted.personality},
    )
    Build.start(
        ctx.session, server, is_volume_backed=order.disks[0].destination_type == "volume",
        has_volumes=any(each.destination_type == "volume" for each in order.disks),
        has_ports=bool(order.ports), host=order.where.host,
        is_host_forced=order.where.is_forced, is_admin=is_admin(ctx),
        secrets=told.sealed(ctx.cloud),
    )  # fmt: skip


def _decoded(text: str, refusal: BadRequest) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise refusal from None


def new_password() -> str:
    """A password that a guest is given."""
    return "".join(secrets.choice(UNAMBIGUOUS) for _ in range(PASSWORD_LENGTH))


def _drawn(length: int) -> str:
    letters = string.ascii_lowercase + string.digits
    return "".join(clock.randomness().choice(letters) for _ in range(length))
