"""Create servers: one, or several that are alike."""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import Table, insert

from onestack import volume
from onestack.compute import rules, server_groups
from onestack.compute.lenient import flag
from onestack.compute.rules import is_admin
from onestack.compute.servers import disks, instance_actions, networking
from onestack.compute.servers.build import Build
from onestack.compute.servers.config_drive import Secrets
from onestack.compute.servers.order import Order, check_quotas, read
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord, ServerTagRecord
from onestack.compute.servers.texts import canonical, hostname_of
from onestack.compute.servers.wanted import NewServerBody, NewServerView
from onestack.compute.style import links
from onestack.core import clock
from onestack.core.api import Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.sequence import draw
from onestack.core.shapes import UNSET, Shape, UnsetType

api = Operations("servers")


class CreatedBody(Shape):
    """What is known of new servers at once."""

    server: NewServerView | UnsetType = UNSET
    reservation_id: str | UnsetType = UNSET


@api.post("/v2.1/servers", rules.rule("servers:create", rules.MEMBER), status=202)
def create(ctx: Context, body: NewServerBody) -> Reply:
    """Create a server."""
    rules.allow_own(ctx)
    order = read(ctx, body)
    check_quotas(ctx, order)
    servers = _enter(ctx, order)
    _begin(ctx, order, servers)
    if flag(order.wanted.return_reservation_id):
        return Reply(CreatedBody(reservation_id=order.reservation_id))
    first = servers[0]
    shown = NewServerView(
        id=first.id, links=links(ctx, f"servers/{first.id}"), disk_config=first.disk_config,
        security_groups=[{"name": name} for name in first.security_groups or ["default"]],
        admin_password=order.password,
    )  # fmt: skip
    return Reply(CreatedBody(server=shown), headers={"Location": shown.links[0].href})


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


def _begin(ctx: Context, order: Order, servers: list[ServerRecord]) -> None:
    """Start the servers' building."""
    told = Secrets(
        order.password if servers[0].has_config_drive else "",
        {each.path: each.contents for each in order.wanted.personality},
    )
    Build.start_all(
        ctx.session, servers, is_volume_backed=order.disks[0].destination_type == "volume",
        has_volumes=any(each.destination_type == "volume" for each in order.disks),
        has_ports=bool(order.ports), host=order.where.host,
        is_host_forced=order.where.is_forced, is_admin=is_admin(ctx),
        secrets=told.sealed(ctx.cloud),
    )  # fmt: skip
