"""Evacuate a server: its host is down, so it is made anew on another one."""

from typing import Annotated

from onestack.compute import nodes, placing, rules
from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.lenient import Flag
from onestack.compute.migrations import record as migrations
from onestack.compute.migrations.record import MigrationRecord, set_status
from onestack.compute.nodes import HostNotFound
from onestack.compute.servers import access, action, moving
from onestack.compute.servers.migrate import HostName, NoHost
from onestack.compute.servers.moving import Arrive
from onestack.compute.servers.record import ServerRecord, touch
from onestack.compute.servers.states import check_state, show_power
from onestack.compute.servers.texts import new_password
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.flow import Child, Failure, Flow, Next, step
from onestack.core.shapes import UNSET, Meta, Shape, UnsetType, field, since, until

api = Operations("server evacuation")

STATES = ("active", "stopped", "error")


class InUse(BadRequest):
    message = "Compute service of {host} is still in use."


class EvacuateBody(Shape, forbid_unknown_fields=True):
    """Where to; its disks are made anew."""

    host: HostName | None = None
    on_shared_storage: Annotated[Flag | UnsetType, until("2.13")] = field(
        default=UNSET, name="onSharedStorage"
    )
    admin_password: Annotated[str, Meta(max_length=4096)] | None = field(
        default=None, name="adminPass"
    )
    force: Annotated[Flag | UnsetType, since("2.29"), until("2.67")] = UNSET


class EvacuatedView(Shape):
    """The new password."""

    admin_password: Annotated[str | UnsetType, until("2.13")] = field(
        default=UNSET, name="adminPass"
    )


@api.post(action.PATH, action.rule("os-evacuate", rules.ADMIN), action="evacuate")
def evacuate(ctx: Context, server_id: str, body: EvacuateBody) -> EvacuatedView:
    """Make a server anew on another host, since its own is down."""
    server = access.unlocked(ctx, server_id)
    if body.host is not None:
        try:
            nodes.find(ctx.session, body.host)
        except HostNotFound:
            raise NoHost(host=body.host) from None
        if body.host == server.host:
            raise BadRequest("The target host can't be the same one.")
    check_state(server, "evacuate", STATES)
    if server.host is None or moving.is_up(ctx.session, server.host):
        raise InUse(host=server.host)
    migration = migrations.begin(ctx.session, server, "evacuation", ctx.caller)
    state = {"migration_id": migration.id, "host": body.host}
    action.begin(ctx, server, "evacuate", EvacuateServer, **state)
    return EvacuatedView(admin_password=body.admin_password or new_password())


class EvacuateServer(Flow[ServerRecord]):
    """Claims a place elsewhere, and has the guest there; the old host forgets it when it's back."""

    event = "compute.instance.evacuate"
    deadline_s = moving.COPY_S

    migration_id: int
    host: str | None = None
    source: str = ""
    destination: str = ""

    @step(shows="rebuilding")
    def schedule(self) -> Next:
        server, migration = self.subject, self._migration()
        self.source = str(server.host)
        migrations.take_over(self.session, server, migration)
        placed = moving.place(self, migration.new_flavor, host=self.host, avoid=(server.host,))
        if placed is None:
            migrations.give_back(self.session, server, migration)
            return self.unplaceable
        self.destination = placed.host
        moving.note_destination(self.session, migration, placed)
        migrations.let_go(self.session, migration)
        server.host, server.availability_zone = placed.host, placed.zone
        touch(server)
        return Child(Arrive, server, state={"how": "create"}, then=self.arrived)

    @step(shows="rebuilding")
    def unplaceable(self) -> Next:
        raise placing.refusal(self.session, self.subject.id)

    @step(shows="rebuild_spawning")
    def arrived(self) -> Next:
        """A server that was stopped is so again."""
        if self._migration().old_state != "stopped":
            return self.finish
        return action.ask(self.subject, Hypervisor.stop, self.stopped, patience_s=0)

    @step(shows="powering-off")
    def stopped(self, guest: Guest) -> Next:
        show_power(self.subject, guest.power)
        return self.finish

    @step(shows="rebuild_spawning")
    def finish(self) -> Next:
        set_status(self._migration(), "done")
        self.subject.fault = None
        action.end(self, "stopped" if self._migration().old_state == "stopped" else "active")
        return None

    def failed(self, failure: Failure) -> None:
        set_status(self._migration(), "error")
        if not self.destination:
            action.give_up(self, failure)
            return
        action.break_down(self, failure)

    def _migration(self) -> MigrationRecord:
        return self.session.get_one(MigrationRecord, self.migration_id)
