"""Change what is said of a server: its names, addresses and the like."""

from typing import Annotated

from onestack.compute import rules
from onestack.compute.lenient import Description, Name
from onestack.compute.servers import access
from onestack.compute.servers.notifications import described
from onestack.compute.servers.record import ServerRecord, touch
from onestack.compute.servers.texts import canonical, check_address
from onestack.compute.servers.view import ServerView, changed
from onestack.compute.servers.wanted import DiskConfig, HostName
from onestack.core import event
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import UNSET, Shape, UnsetType, field, since

api = Operations("servers")


class AnotherZone(BadRequest):
    message = "A server is pinned to the zone that it is in, {own}, not to {zone}."


class ServerUpdate(Shape, forbid_unknown_fields=True):
    """What changes of a server."""

    name: Name | UnsetType = UNSET
    disk_config: DiskConfig | UnsetType = field(default=UNSET, name="OS-DCF:diskConfig")
    access_ip_v4: str | UnsetType | None = field(default=UNSET, name="accessIPv4")
    access_ip_v6: str | UnsetType | None = field(default=UNSET, name="accessIPv6")
    description: Annotated[Description | UnsetType | None, since("2.19")] = UNSET
    hostname: Annotated[HostName | UnsetType, since("2.90")] = UNSET
    pinned_zone: Annotated[Name | UnsetType | None, since("2.104")] = field(
        default=UNSET, name="pinned_availability_zone"
    )


@api.put("/v2.1/servers/{server_id}", rules.rule("servers:update", rules.MEMBER), key="server")
def update(ctx: Context, server_id: str, body: ServerUpdate) -> ServerView:
    """Update a server."""
    server = access.held(ctx, server_id)
    for name, address, version in (
        ("accessIPv4", body.access_ip_v4, 4), ("accessIPv6", body.access_ip_v6, 6),
    ):  # fmt: skip
        if isinstance(address, str):
            check_address(name, address, version)
    for name in ("name", "disk_config", "description", "hostname"):
        value = getattr(body, name)
        if value is not UNSET:
            setattr(server, name, value)
    for name in ("access_ip_v4", "access_ip_v6"):
        value = getattr(body, name)
        if value is not UNSET:
            setattr(server, name, canonical(value))
    if body.pinned_zone is not UNSET:
        _pin(server, body.pinned_zone)
    touch(server)
    event.emit(
        ctx.session, "compute.instance.update", described(server), server.project_id,
        f"servers/{server.id}",
    )  # fmt: skip
    ctx.session.flush()
    return changed(ctx, server)


def _pin(server: ServerRecord, zone: str | UnsetType | None) -> None:
    """Bind a server to the zone that it is in, or to none."""
    if zone is not None and zone != server.availability_zone:
        raise AnotherZone(zone=zone, own=server.availability_zone)
    server.pinned_zone = None if zone is None else server.availability_zone
