"""Rebuild a server: a new root disk, while its host, its ports and its volumes stay."""

from typing import Annotated

from msgspec.structs import replace

from onestack.compute import keypairs, placing
from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.keypairs import KeypairNotFound
from onestack.compute.lenient import Description, Flag, Name
from onestack.compute.servers import access, action, moving, sources, view
from onestack.compute.servers.config_drive import Secrets
from onestack.compute.servers.order import InvalidKey
from onestack.compute.servers.record import ServerRecord, disks_of
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import check_state, show_power
from onestack.compute.servers.texts import check_address, check_user_data, new_password
from onestack.compute.servers.view import ServerView
from onestack.compute.servers.wanted import (
    Certificates,
    DiskConfig,
    Domain,
    InjectedFile,
    Metadata,
    Password,
    UserData,
)
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.flow import Failure, Flow, Next, step
from onestack.core.shapes import UNSET, Shape, UnsetType, field, since, until
from onestack.image import Image

api = Operations("server rebuild")

STATES = ("active", "stopped", "error")


class OtherImage(BadRequest):
    message = "Unable to rebuild with a different image for a volume-backed server."


class RebuildBody(Shape, forbid_unknown_fields=True):
    """The image of the new root disk, and what else shall change."""

    image_ref: str = field(name="imageRef")
    name: Name | UnsetType = UNSET
    admin_password: Password | None = field(default=None, name="adminPass")
    metadata: Metadata | UnsetType = UNSET
    preserve_ephemeral: Flag | UnsetType = UNSET
    disk_config: DiskConfig | UnsetType = field(default=UNSET, name="OS-DCF:diskConfig")
    access_ip_v4: str | UnsetType = field(default=UNSET, name="accessIPv4")
    access_ip_v6: str | UnsetType = field(default=UNSET, name="accessIPv6")
    personality: Annotated[list[InjectedFile], until("2.56")] = []
    description: Annotated[Description | UnsetType | None, since("2.19")] = UNSET
    key_name: Annotated[Name | UnsetType | None, since("2.54")] = UNSET
    user_data: Annotated[UserData | UnsetType | None, since("2.57")] = UNSET
    trusted_image_certificates: Annotated[Certificates | UnsetType | None, since("2.63")] = UNSET
    hostname: Annotated[Domain | UnsetType, since("2.90")] = UNSET


@api.post(action.PATH, action.rule("servers:rebuild"), action="rebuild", key="server", status=202)
def rebuild(ctx: Context, server_id: str, body: RebuildBody) -> ServerView:
    """Give a server a new root disk, made of an image."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "rebuild", STATES)
    found = sources.image_of(ctx, body.image_ref)
    assert found is not None
    is_volume_backed = moving.is_volume_backed(ctx.session, server)
    if is_volume_backed and found.id != server.image_id:
        raise OtherImage
    if not is_volume_backed:
        sources.check_size(found, server.memory_mb, server.root_gb)
    changes = _changes(ctx, server, body)
    if found.id != server.image_id:
        _check_host(ctx, server, found)
    password = body.admin_password or new_password()
    told = Secrets(
        password if server.has_config_drive else "",
        {each.path: each.contents for each in body.personality},
    )
    action.begin(
        ctx, server, "rebuild", RebuildServer, was_stopped=server.vm_state == "stopped",
        secrets=told.sealed(ctx.cloud),
    )  # fmt: skip
    for name, value in changes.items():
        setattr(server, name, value)
    _give_image(ctx, server, found, is_volume_backed=is_volume_backed)
    more = {"plain_user_data": server.user_data, "user_data": UNSET}
    return view.changed(ctx, server, admin_password=password, **more)


def _changes(ctx: Context, server: ServerRecord, body: RebuildBody) -> dict[str, object]:
    """What else shall change, checked."""
    for name, address, version in (
        ("accessIPv4", body.access_ip_v4, 4), ("accessIPv6", body.access_ip_v6, 6),
    ):  # fmt: skip
        check_address(name, None if address is UNSET else address, version)
    if body.user_data is not UNSET and body.user_data is not None:
        check_user_data(body.user_data)
    given = {
        "name": body.name, "metadata_items": body.metadata, "disk_config": body.disk_config,
        "access_ip_v4": body.access_ip_v4, "access_ip_v6": body.access_ip_v6,
        "description": body.description, "user_data": body.user_data, "hostname": body.hostname,
        "trusted_certificates": body.trusted_image_certificates,
    }  # fmt: skip
    found: dict[str, object] = {k: value for k, value in given.items() if value is not UNSET}
    if body.key_name is not UNSET:
        found |= _key(ctx, server, body.key_name)
    return found


def _key(ctx: Context, server: ServerRecord, name: str | None) -> dict[str, object]:
    """Another key, which is one of whoever made the server."""
    if name is None:
        return {"key_name": None, "public_key": None}
    try:
        key = keypairs.find(ctx.session, server.user_id, name)
    except KeypairNotFound:
        raise InvalidKey from None
    return {"key_name": key.name, "public_key": key.public_key}


def _check_host(ctx: Context, server: ServerRecord, found: Image) -> None:
    """Refuse an image that must not run where the server is; nothing is claimed."""
    size = placing.size_of(server, is_volume_backed=False)
    wanted = placing.spec_of(ctx.session, server, size, host=server.host)
    wanted = replace(wanted, image_properties=sources.properties_of(found))
    placing.check(ctx.session, ctx.cloud, wanted)


def _give_image(
    ctx: Context, server: ServerRecord, found: Image, *, is_volume_backed: bool
) -> None:
    server.image_id, server.image_properties = found.id, sources.properties_of(found)
    for disk in disks_of(ctx.session, server.id):
        if disk.is_root and not is_volume_backed:
            disk.image_id = found.id


class RebuildServer(Flow[ServerRecord]):
    """The guest goes with its disks, and comes back on the same host with new ones."""

    event = "compute.instance.rebuild"
    deadline_s = moving.COPY_S

    was_stopped: bool
    secrets: str = ""  # sealed

    @step(shows="rebuilding")
    def destroy(self) -> Next:
        return action.ask(self.subject, Hypervisor.destroy, self.spawn, keep_disks=False)

    @step(shows="rebuild_spawning")
    def spawn(self) -> Next:
        secrets = Secrets.opened(self.cloud, self.secrets)
        guest = spec_of(self.session, self.cloud, self.subject, is_new=True, secrets=secrets)
        asked = action.ask(self.subject, Hypervisor.create, self.spawned, guest=guest)
        return replace(asked, is_secret=bool(self.secrets))

    @step(shows="rebuild_spawning")
    def spawned(self, guest: Guest) -> Next:
        show_power(self.subject, guest.power)
        self.subject.fault = None
        if not self.was_stopped:
            action.end(self, "active")
            return None
        return action.ask(self.subject, Hypervisor.stop, self.stopped, patience_s=0)

    @step(shows="powering-off")
    def stopped(self, guest: Guest) -> Next:
        action.end(self, "stopped", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.break_down(self, failure)
