"""Rescue a server: it starts from a rescue image, with its own disks beside it."""

from typing import Annotated

import msgspec

from onestack import image
from onestack.compute.hypervisor import Disk, Guest, GuestSpec, Hypervisor
from onestack.compute.servers import access, action, moving, sources
from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.spec import CONFIG_DEVICE, spec_of
from onestack.compute.servers.states import check_state
from onestack.compute.servers.stop import PATIENCE_S
from onestack.compute.servers.texts import new_password
from onestack.compute.servers.wanted import Password
from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.flow import Failure, Flow, Next, step
from onestack.core.shapes import Meta, Shape, field

api = Operations("server rescue")

STATES = ("active", "stopped", "error")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class NotRescuable(BadRequest):
    message = "Instance {server_id} cannot be rescued: {reason}"


class RescueBody(Shape, forbid_unknown_fields=True):
    """What to rescue it with; its own image where it does not say."""

    admin_password: Password | None = field(default=None, name="adminPass")
    rescue_image_ref: Annotated[str, Meta(min_length=1)] | None = None


class RescueView(Shape):
    """The password of whoever signs in to repair it."""

    admin_password: str = field(name="adminPass")


@api.post(action.PATH, action.rule("os-rescue"), action="rescue")
def rescue(ctx: Context, server_id: str, body: RescueBody | None) -> RescueView:
    """Start a server from another disk, to repair its own."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "rescue", STATES)
    given = body or RescueBody()
    if moving.is_volume_backed(ctx.session, server) and ctx.version < (2, 87):
        reason = "Cannot rescue a volume-backed instance"
        raise NotRescuable(server_id=server.id, reason=reason)
    found = sources.image_of(ctx, given.rescue_image_ref or server.image_id)
    if found is None:
        raise NotRescuable(server_id=server.id, reason="there is no image to rescue it with")
    state = {"image_id": found.id, "disk_id": f"rescue-{clock.new_id()[:8]}"}
    action.begin(ctx, server, "rescue", RescueServer, **state)
    return RescueView(admin_password=given.admin_password or new_password())


@api.post(action.PATH, action.rule("os-unrescue"), action="unrescue", status=202)
def unrescue(ctx: Context, server_id: str) -> None:
    """Start a server from its own disk again."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "unrescue", ("rescued",))
    action.begin(ctx, server, "unrescue", UnrescueServer)


class RescueServer(Flow[ServerRecord]):
    """Shuts the guest down, and starts it from a new disk, which comes first."""

    event = "compute.instance.rescue"
    deadline_s = moving.COPY_S

    image_id: str
    disk_id: str

    @step(shows="rescuing")
    def shut_down(self) -> Next:
        return action.ask(self.subject, Hypervisor.stop, self.start_rescue, patience_s=PATIENCE_S)

    @step(shows="rescuing")
    def start_rescue(self, _guest: Guest) -> Next:
        disk = Disk(
            id=self.disk_id, device="vda", size_gb=self.subject.root_gb, boot_index=0,
            image=image.source(self.cloud, self.image_id),
        )  # fmt: skip
        guest = with_disk_first(spec_of(self.session, self.cloud, self.subject), disk)
        return action.ask(self.subject, Hypervisor.create, self.rescued, guest=guest)

    @step(shows="rescuing")
    def rescued(self, guest: Guest) -> Next:
        action.end(self, "rescued", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.break_down(self, failure)


class UnrescueServer(Flow[ServerRecord]):
    """Shuts the guest down, and starts it with the devices that it has otherwise."""

    event = "compute.instance.unrescue"

    @step(shows="unrescuing")
    def shut_down(self) -> Next:
        return action.ask(self.subject, Hypervisor.stop, self.start_own, patience_s=PATIENCE_S)

    @step(shows="unrescuing")
    def start_own(self, _guest: Guest) -> Next:
        guest = spec_of(self.session, self.cloud, self.subject)
        return action.ask(self.subject, Hypervisor.start, self.unrescued, guest=guest)

    @step(shows="unrescuing")
    def unrescued(self, guest: Guest) -> Next:
        action.end(self, "active", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.break_down(self, failure)


def with_disk_first(guest: GuestSpec, first: Disk) -> GuestSpec:
    """The guest with one disk more, which it boots from; the others move down by one device."""
    moved = [
        each if each.device == CONFIG_DEVICE else msgspec.structs.replace(
            each, device=f"vd{LETTERS[at + 1]}", boot_index=None
        )
        for at, each in enumerate(guest.disks)
    ]  # fmt: skip
    return msgspec.structs.replace(guest, disks=[first, *moved])
