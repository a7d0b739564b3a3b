"""Delete servers: whatever is under way, a delete wins, and leaves nothing behind."""

from typing import Any

from onestack import placement
from onestack.compute import rules, server_groups
from onestack.compute.hypervisor import Hypervisor
from onestack.compute.servers import (
    access,
    action,
    faults,
    instance_actions,
    moving,
    networking,
    shelve,
    snapshot,
)
from onestack.compute.servers.notifications import described
from onestack.compute.servers.record import ServerRecord, bury, disks_of
from onestack.compute.servers.states import GOING, check_state
from onestack.compute.servers.volume_attachments import DetachVolume
from onestack.core import agents
from onestack.core.agents import NoSuchAgent
from onestack.core.api import Operations
from onestack.core.bus import agent_address
from onestack.core.context import Context
from onestack.core.flow import Ask, Child, Failure, Flow, Next, step

api = Operations("servers")

DESTROY_S = 120.0


@api.delete("/v2.1/servers/{server_id}", rules.rule("servers:delete", rules.MEMBER))
def delete(ctx: Context, server_id: str) -> None:
    """Delete a server."""
    server = access.unlocked(ctx, server_id)
    begin(ctx, server)


@api.post(
    action.PATH,
    rules.rule("os-deferred-delete:force", rules.MEMBER),
    action="forceDelete",
    status=202,
)
def force(ctx: Context, server_id: str) -> None:
    """Delete a server at once, as every deletion here is."""
    begin(ctx, access.unlocked(ctx, server_id))


@api.post(
    action.PATH,
    rules.rule("os-deferred-delete:restore", rules.MEMBER),
    action="restore",
    status=202,
)
def restore(ctx: Context, server_id: str) -> None:
    """Refuse to bring a server back: a deletion here is never only put off."""
    check_state(access.unlocked(ctx, server_id), "restore", ("soft-delete",))


def begin(ctx: Context, server: ServerRecord) -> None:
    """Have a server deleted; one that is on its way out already stays on it."""
    if server.task_state == GOING:
        return
    Delete.start(ctx.session, server)
    instance_actions.begin(ctx.session, server, "delete", ctx.caller)


class Delete(Flow[ServerRecord]):
    """From whatever a server is to nothing."""

    event = "compute.instance.delete"
    preempts = True
    deadline_s = None

    addresses: list[str] = []
    is_listed: bool = False

    @step(shows=GOING)
    def destroy(self) -> Next:
        """Every host that may have something of the guest is asked to forget it."""
        if not self.is_listed:
            self.addresses, self.is_listed = self._hosts(), True
        if not self.addresses:
            return self.let_volumes_go
        return Ask(
            self.addresses[0], Hypervisor.destroy, {"guest_id": self.subject.id},
            then=self.destroyed, otherwise=self.not_destroyed, timeout_s=DESTROY_S,
        )  # fmt: skip

    @step(shows=GOING)
    def destroyed(self) -> Next:
        self.addresses = self.addresses[1:]
        return self.destroy if self.addresses else self.let_volumes_go

    @step(shows=GOING)
    def not_destroyed(self, failure: Failure) -> Next:
        """A host that is dead will be told when it comes back; one that lives must obey."""
        host = self.addresses[0].removeprefix("agent.").removesuffix(".hypervisor")
        if self._is_alive(host):
            raise failure
        return self.destroyed

    @step(shows=GOING)
    def let_volumes_go(self) -> Next:
        """One after the other, whatever is being done to it."""
        for disk in disks_of(self.session, self.subject.id):
            if disk.attachment_id is not None:
                state = {"is_guest_gone": True, "deletes_volume": disk.delete_on_termination}
                return Child(DetachVolume, disk, state=state, then=self.let_volumes_go)
        return self.forget

    @step(shows=GOING)
    def forget(self) -> Next:
        server = self.subject
        networking.release(self.session, server)
        placement.release(self.session, server.id)
        moving.forget(self.session, server.id)
        shelve.forget(self.session, server.id)
        snapshot.undo(self.session, self.preempted)
        server_groups.leave(self.session, server.id)
        instance_actions.finish(self.session, server)
        bury(self.session, server)
        return None

    def failed(self, failure: Failure) -> None:
        faults.fail(self.subject, failure)
        instance_actions.finish(self.session, self.subject, failure)

    def describe(self) -> dict[str, Any]:
        return described(self.subject)

    def _hosts(self) -> list[str]:
        """Where the guest is, and where somebody was about to put it."""
        found = [agent_address(self.subject.host, "hypervisor")] if self.subject.host else []
        found += [
            agent_address(each, "hypervisor")
            for each in moving.hosts_of(self.session, self.subject)
        ]
        for each in self.preempted:
            agent = (each.errand or {}).get("agent")
            if agent is not None and agent.endswith(".hypervisor"):
                found.append(agent)
            found += [
                agent_address(host, "hypervisor")
                for name in ("host", "source", "destination")
                if isinstance(host := each.state.get(name), str) and host
            ]
        return list(dict.fromkeys(found))

    def _is_alive(self, host: str) -> bool:
        try:
            return agents.of_host(self.session, host, "hypervisor").is_alive
        except NoSuchAgent:
            return False
