"""Migrate a server to another host: shut down on the way (cold), or running (live)."""

from typing import Annotated, Any, Literal

from onestack.compute import nodes, placing, rules
from onestack.compute.hypervisor import Hypervisor
from onestack.compute.lenient import Flag
from onestack.compute.migrations import record as migrations
from onestack.compute.migrations.record import MigrationRecord, set_status
from onestack.compute.nodes import HostNotFound
from onestack.compute.servers import access, action, moving, networking, resize
from onestack.compute.servers.connector import connector_of
from onestack.compute.servers.moving import agent
from onestack.compute.servers.record import ServerRecord, touch
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import check_state
from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.flow import Ask, Failure, Flow, Next, Sleep, step
from onestack.core.shapes import UNSET, Extras, Meta, Shape, UnsetType, since, until

api = Operations("server migration")

COLD_STATES = ("active", "stopped")
LIVE_STATES = ("active", "paused")
HOST_RULE = rules.rule("os-migrate-server:migrate:host")
LIVE_HOST_RULE = rules.rule("os-migrate-server:migrate_live:host")
HostName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-._]*$")]


class SameHost(BadRequest):
    message = "Unable to migrate instance ({server_id}) to current host ({host})."


class NoHost(BadRequest):
    message = "Compute host {host} could not be found."


class MigrateBody(Shape, forbid_unknown_fields=True):
    """Where to; old clients may say what they like, and it is not looked at."""

    host: Annotated[HostName | None, since("2.56")] = None
    ignored: Annotated[dict[str, Any], Extras, until("2.55")] = {}


class LiveBody(Shape, forbid_unknown_fields=True):
    """Where to, and whether disks are copied: that follows from where they are."""

    host: HostName | None
    block_migration: Flag | Literal["auto"]
    disk_over_commit: Annotated[Flag | UnsetType, until("2.24")] = UNSET
    force: Annotated[Flag | UnsetType, since("2.30"), until("2.67")] = UNSET


@api.post(
    action.PATH,
    action.rule("os-migrate-server:migrate", rules.MANAGER),
    action="migrate",
    status=202,
)
def migrate(ctx: Context, server_id: str, body: MigrateBody | None) -> None:
    """Move a server to another host; it is shut down on the way, and to be confirmed there."""
    server = access.unlocked(ctx, server_id)
    host = body.host if body is not None else None
    if host is not None:
        ctx.allow(server, rule=HOST_RULE)
        _check_host(ctx, server, host)
    check_state(server, "migrate", COLD_STATES)
    moving.check_is_up(ctx.session, server)
    resize.begin(ctx, server, "migration", host=host)


@api.post(
    action.PATH,
    action.rule("os-migrate-server:migrate_live", rules.MANAGER),
    action="os-migrateLive",
    status=202,
)
def migrate_live(ctx: Context, server_id: str, body: LiveBody) -> None:
    """Move a server to another host while it runs."""
    server = access.unlocked(ctx, server_id)
    if body.host is not None:
        ctx.allow(server, rule=LIVE_HOST_RULE)
        _check_host(ctx, server, body.host)
    check_state(server, "os-migrateLive", LIVE_STATES)
    moving.check_is_up(ctx.session, server)
    migration = migrations.begin(ctx.session, server, "live-migration", ctx.caller)
    state = {"migration_id": migration.id, "host": body.host}
    action.begin(ctx, server, "live-migration", MigrateLive, **state)


class MigrateLive(Flow[ServerRecord]):
    """The other host gets ready, and has the server's ports and volumes, before the guest comes."""

    event = "compute.instance.live_migration"
    deadline_s = 2 * moving.COPY_S

    migration_id: int
    host: str | None = None
    source: str = ""
    destination: str = ""
    error: str = ""
    reason: str = ""
    volumes: list[str] = []
    wiring_since: float = 0.0
    is_back: bool = False

    @step(shows="migrating")
    def schedule(self) -> Next:
        server, migration = self.subject, self._migration()
        self.source = str(server.host)
        migrations.take_over(self.session, server, migration)
        placed = moving.place(self, migration.new_flavor, host=self.host, avoid=(server.host,))
        if placed is None:
            refusal = placing.refusal(self.session, server.id)
            self.error, self.reason = "NoValidHost", refusal.text
            return self.restore
        self.destination = placed.host
        moving.note_destination(self.session, migration, placed)
        set_status(migration, "preparing")
        networking.bind_ahead(self.session, server, self.destination)
        self.wiring_since = clock.now().timestamp()
        self.volumes = moving.attachments(self.session, server)
        return self.connect

    @step(shows="migrating")
    def connect(self) -> Next:
        """The other host reaches the volumes too, one after the other."""
        if not self.volumes:
            moving.mark_attached(self.session, self.subject)
            return self.wait_for_ports
        first, *self.volumes = self.volumes
        connector = connector_of(self.session, self.destination)
        following = self.connect
        return moving.connect(self.session, first, connector, following, self.stay, is_shared=True)

    @step(shows="migrating")
    def wait_for_ports(self) -> Next:
        if networking.are_wired_ahead(self.session, self.subject):
            return self.offer
        if clock.now().timestamp() - self.wiring_since <= moving.WIRING_S:
            return Sleep(moving.LOOK_S)
        self.error = "VirtualInterfaceCreateException"
        self.reason = "Virtual Interface creation failed"
        return self.clear

    @step(shows="migrating")
    def offer(self) -> Next:
        guest = spec_of(self.session, self.cloud, self.subject)
        return Ask(
            agent(self.destination), Hypervisor.offer, {"guest": guest, "is_live": True},
            then=self.send, otherwise=self.stay, timeout_s=moving.CREATE_S,
        )  # fmt: skip

    @step(shows="migrating")
    def send(self, address: str) -> Next:
        set_status(self._migration(), "running")
        guest = spec_of(self.session, self.cloud, self.subject)
        return Ask(
            agent(self.source), Hypervisor.migrate, {"guest": guest, "address": address},
            then=self.switch, otherwise=self.stay, timeout_s=moving.COPY_S,
        )  # fmt: skip

    @step(shows="migrating")
    def switch(self) -> Next:
        """The guest runs on the other host: so does the server, from here on."""
        server, migration = self.subject, self._migration()
        server.host = self.destination
        touch(server)
        networking.bind(self.session, server)
        migrations.let_go(self.session, migration)
        set_status(migration, "post-migrating")
        return Ask(
            agent(self.source), Hypervisor.destroy, {"guest_id": server.id},
            then=self.reconnect, otherwise=self.reconnect, timeout_s=moving.CREATE_S,
        )  # fmt: skip

    @step(shows="migrating")
    def finish(self) -> Next:
        set_status(self._migration(), "completed")
        action.end(self)
        return None

    @step(shows="migrating")
    def stay(self, failure: Failure) -> Next:
        self.error, self.reason = failure.error, failure.text
        return self.clear

    @step(shows="migrating")
    def clear(self) -> Next:
        """What the other host has of the guest goes."""
        return Ask(
            agent(self.destination), Hypervisor.destroy, {"guest_id": self.subject.id},
            then=self.reconnect, otherwise=self.reconnect, timeout_s=moving.CREATE_S,
        )  # fmt: skip

    @step(shows="migrating")
    def reconnect(self) -> Next:
        """Only the host that the server is on reaches its volumes."""
        self.volumes = moving.attachments(self.session, self.subject)
        return self.reconnect_following

    @step(shows="migrating")
    def reconnect_following(self) -> Next:
        if not self.volumes:
            moving.mark_attached(self.session, self.subject)
            return self.restore if self.error else self.finish
        first, *self.volumes = self.volumes
        connector = connector_of(self.session, str(self.subject.host))
        following = self.reconnect_following
        return moving.connect(self.session, first, connector, following, following)

    @step(shows="migrating")
    def restore(self) -> Next:
        networking.bind(self.session, self.subject)
        migrations.give_back(self.session, self.subject, self._migration())
        set_status(self._migration(), "error")
        self.is_back = True
        return self.refuse

    @step(shows="migrating")
    def refuse(self) -> Next:
        raise Failure(self.error, self.reason, "live migration")

    def failed(self, failure: Failure) -> None:
        if not self.is_back:
            networking.bind(self.session, self.subject)
            migrations.give_back(self.session, self.subject, self._migration())
            set_status(self._migration(), "error")
        action.give_up(self, failure)

    def _migration(self) -> MigrationRecord:
        return self.session.get_one(MigrationRecord, self.migration_id)


def _check_host(ctx: Context, server: ServerRecord, host: str) -> None:
    """Refuse a host that there is not, and the one that the server is on."""
    try:
        nodes.find(ctx.session, host)
    except HostNotFound:
        raise NoHost(host=host) from None
    if host == server.host:
        raise SameHost(server_id=server.id, host=host)
