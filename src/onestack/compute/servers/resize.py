"""Resize a server: another flavour, perhaps on another host, to be confirmed or taken back."""

from typing import Annotated, Any

from sqlalchemy.orm import Session

from onestack.compute import placing, quotas, rules
from onestack.compute.flavors import record as flavors
from onestack.compute.flavors.record import FlavorNotFound, FlavorRecord
from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.migrations import record as migrations
from onestack.compute.migrations.record import MigrationRecord, give_size, set_status
from onestack.compute.servers import access, action, moving
from onestack.compute.servers.moving import Arrive, TurnBack, agent
from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import RUNNING, SHUTDOWN, check_state
from onestack.compute.servers.stop import PATIENCE_S
from onestack.compute.settings import ComputeSettings
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict
from onestack.core.flow import Ask, Child, Failure, Flow, Next, step
from onestack.core.shapes import Meta, Shape, field

api = Operations("server resize")

STATES = ("active", "stopped")


class SameFlavor(BadRequest):
    message = "When resizing, instances must change flavor!"


class BadFlavor(BadRequest):
    message = "Unable to locate requested flavor."


class SmallerDisk(BadRequest):
    message = "Resize error: Unable to resize disk down."


class ZeroDisk(BadRequest):
    message = "Resize to zero disk flavor is not allowed."


class NoMigration(Conflict):
    message = "Instance has not been resized."


class ResizeBody(Shape, forbid_unknown_fields=True):
    """The flavour that a server shall have."""

    flavor_ref: Annotated[str, Meta(min_length=1)] | int = field(name="flavorRef")
    disk_config: str | None = field(default=None, name="OS-DCF:diskConfig")


@api.post(action.PATH, action.rule("servers:resize"), action="resize", status=202)
def resize(ctx: Context, server_id: str, body: ResizeBody) -> None:
    """Give a server another flavour."""
    server = access.unlocked(ctx, server_id)
    flavor = _flavor(ctx, str(body.flavor_ref))
    check_state(server, "resize", STATES)
    moving.check_is_up(ctx.session, server)
    is_volume_backed = moving.is_volume_backed(ctx.session, server)
    if flavor.id == server.flavor_id:
        raise SameFlavor
    if flavor.root_gb == 0 and server.root_gb != 0 and not is_volume_backed:
        raise ZeroDisk
    if flavor.root_gb < server.root_gb and not is_volume_backed:
        raise SmallerDisk
    more = {
        "cores": max(0, flavor.vcpus - server.vcpus),
        "ram": max(0, flavor.memory_mb - server.memory_mb),
    }
    quotas.check(ctx.session, server.project_id, server.user_id, more)
    if body.disk_config in ("AUTO", "MANUAL"):
        server.disk_config = body.disk_config
    specs = flavors.extra_specs_of(ctx.session, flavor.id)
    begin(ctx, server, "resize", flavor=flavor, specs=specs)


@api.post(action.PATH, action.rule("servers:confirm_resize"), action="confirmResize", status=204)
def confirm(ctx: Context, server_id: str) -> None:
    """Keep a server as it was resized; what it had before is given back."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "confirmResize", ("resized",))
    migration = _open(ctx.session, server)
    action.begin(ctx, server, "confirmResize", ConfirmResize, migration_id=migration.id)


@api.post(action.PATH, action.rule("servers:revert_resize"), action="revertResize", status=202)
def revert(ctx: Context, server_id: str) -> None:
    """Have a server as it was before it was resized."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "revertResize", ("resized",))
    migration = _open(ctx.session, server)
    action.begin(ctx, server, "revertResize", RevertResize, migration_id=migration.id)


def begin(
    ctx: Context, server: ServerRecord, kind: str, *, flavor: FlavorRecord | None = None,
    specs: dict[str, str] | None = None, host: str | None = None,
) -> None:  # fmt: skip
    """Start a resize, or a migration, which is a resize to the same size on another host."""
    migration = migrations.begin(ctx.session, server, kind, ctx.caller, flavor, specs)
    can_stay = kind == "resize" and ctx.cloud.get(ComputeSettings).resizes_on_same_host
    name = "resize" if kind == "resize" else "migrate"
    state = {"migration_id": migration.id, "host": host, "can_stay": can_stay}
    action.begin(ctx, server, name, ResizeServer, **state)


class ResizeServer(Flow[ServerRecord]):
    """Claims the new size while the old one is still held, and moves the guest's disks."""

    event = "compute.instance.resize"
    deadline_s = 2 * moving.COPY_S

    migration_id: int
    can_stay: bool
    host: str | None = None
    source: str = ""
    destination: str = ""
    error: str = ""
    reason: str = ""
    is_back: bool = False

    @step(shows="resize_prep")
    def schedule(self) -> Next:
        server, migration = self.subject, self._migration()
        self.source = str(server.host)
        migrations.take_over(self.session, server, migration)
        avoid = () if self.can_stay else (server.host,)
        placed = moving.place(self, migration.new_flavor, host=self.host, avoid=avoid)
        if placed is None:
            return self.unplaceable
        self.destination = placed.host
        moving.note_destination(self.session, migration, placed)
        return self.shut_down

    @step(shows="resize_prep")
    def unplaceable(self) -> Next:
        self.is_back = True
        migrations.give_back(self.session, self.subject, self._migration())
        set_status(self._migration(), "error")
        refusal = placing.refusal(self.session, self.subject.id)
        self.error, self.reason = "NoValidHost", refusal.text
        return self.refuse

    @step(shows="resize_migrating")
    def shut_down(self) -> Next:
        given = {"guest_id": self.subject.id, "patience_s": PATIENCE_S}
        return Ask(
            agent(self.source), Hypervisor.stop, given, then=self.stopped,
            otherwise=self.turn_back, timeout_s=action.DRIVER_S,
        )  # fmt: skip

    @step(shows="resize_migrating")
    def stopped(self, guest: Guest) -> Next:
        self.subject.power_state = SHUTDOWN
        if self.source == self.destination:
            return self.settle
        given = {"guest": spec_of(self.session, self.cloud, self.subject), "is_live": False}
        return Ask(
            agent(self.destination), Hypervisor.offer, given, then=self.send,
            otherwise=self.turn_back, timeout_s=moving.CREATE_S,
        )  # fmt: skip

    @step(shows="resize_migrating")
    def send(self, address: str) -> Next:
        given = {"guest_id": self.subject.id, "address": address}
        return Ask(
            agent(self.source), Hypervisor.send_disks, given, then=self.settle,
            otherwise=self.turn_back, timeout_s=moving.COPY_S,
        )  # fmt: skip

    @step(shows="resize_migrated")
    def settle(self) -> Next:
        """From here on the server is on the new host, and of the new size."""
        server, migration = self.subject, self._migration()
        server.host = self.destination
        give_size(server, migration.new_flavor)
        set_status(migration, "post-migrating")
        has_grown = migration.new_flavor["root_gb"] > migration.old_flavor["root_gb"]
        if not has_grown or moving.is_volume_backed(self.session, server):
            return self.arrive
        given = {"guest_id": server.id, "size_gb": server.root_gb}
        return Ask(
            agent(self.destination), Hypervisor.resize_root, given, then=self.arrive,
            otherwise=self.turn_back, timeout_s=moving.CREATE_S,
        )  # fmt: skip

    @step(shows="resize_finish")
    def arrive(self) -> Next:
        how = "start" if self._migration().old_state == "active" else "rest"
        return Child(
            Arrive, self.subject, state={"how": how}, then=self.finish, otherwise=self.turn_back
        )

    @step(shows="resize_finish")
    def finish(self) -> Next:
        set_status(self._migration(), "finished")
        action.end(self, "resized")
        return None

    @step(shows="resize_finish")
    def turn_back(self, failure: Failure) -> Next:
        self.error, self.reason = failure.error, failure.text
        state = {"migration_id": self.migration_id, "status": "error"}
        return Child(TurnBack, self.subject, state=state, then=self.turned_back)

    @step(shows="resize_finish")
    def turned_back(self) -> Next:
        self.is_back = True
        return self.refuse

    @step(shows="resize_finish")
    def refuse(self) -> Next:
        raise Failure(self.error, self.reason, "resize")

    def failed(self, failure: Failure) -> None:
        if self.is_back:
            action.give_up(self, failure)
            return
        set_status(self._migration(), "error")
        action.break_down(self, failure)

    def _migration(self) -> MigrationRecord:
        return self.session.get_one(MigrationRecord, self.migration_id)


class ConfirmResize(Flow[ServerRecord]):
    """Gives back what the server had before."""

    event = "compute.instance.resize.confirm"

    migration_id: int

    @step(shows=None)
    def clear(self) -> Next:
        """What is left on the host that it came from goes."""
        migration = self.session.get_one(MigrationRecord, self.migration_id)
        set_status(migration, "confirming")
        if migration.source_host in (None, self.subject.host):
            return self.confirm
        return Ask(
            agent(migration.source_host), Hypervisor.destroy, {"guest_id": self.subject.id},
            then=self.confirm, timeout_s=moving.CREATE_S,
        )  # fmt: skip

    @step(shows=None)
    def confirm(self) -> Next:
        migration = self.session.get_one(MigrationRecord, self.migration_id)
        migrations.let_go(self.session, migration)
        set_status(migration, "confirmed")
        action.end(self, "active" if self.subject.power_state == RUNNING else "stopped")
        return None

    def failed(self, failure: Failure) -> None:
        set_status(self.session.get_one(MigrationRecord, self.migration_id), "finished")
        action.give_up(self, failure)


class RevertResize(Flow[ServerRecord]):
    """Brings the server back to where it was, and what it was."""

    event = "compute.instance.resize.revert"
    deadline_s = 2 * moving.COPY_S

    migration_id: int

    @step(shows="resize_reverting")
    def shut_down(self) -> Next:
        set_status(self.session.get_one(MigrationRecord, self.migration_id), "reverting")
        given = {"patience_s": PATIENCE_S}
        return action.ask(self.subject, Hypervisor.stop, self.stopped, **given)

    @step(shows="resize_reverting")
    def stopped(self, guest: Guest) -> Next:
        state: dict[str, Any] = {"migration_id": self.migration_id, "status": "reverted"}
        return Child(TurnBack, self.subject, state=state, then=self.finish)

    @step(shows="resize_reverting")
    def finish(self) -> Next:
        action.end(self)
        return None

    def failed(self, failure: Failure) -> None:
        set_status(self.session.get_one(MigrationRecord, self.migration_id), "error")
        action.break_down(self, failure)


def _flavor(ctx: Context, flavor_id: str) -> FlavorRecord:
    try:
        is_admin = rules.is_admin(ctx)
        return flavors.find(ctx.session, flavor_id, ctx.caller.project_id, is_admin=is_admin)
    except FlavorNotFound:
        raise BadFlavor from None


def _open(session: Session, server: ServerRecord) -> MigrationRecord:
    migration = migrations.open_of(session, server.id)
    if migration is None:
        raise NoMigration
    return migration
