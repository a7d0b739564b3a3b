"""Suspend a server: its memory goes to its host's disk, and it does not run."""

from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.servers import access, action
from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import check_state
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.flow import Failure, Flow, Next, step

api = Operations("server suspend")


@api.post(action.PATH, action.rule("os-suspend-server:suspend"), action="suspend", status=202)
def suspend(ctx: Context, server_id: str) -> None:
    """Suspend a server."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "suspend", ("active",))
    action.begin(ctx, server, "suspend", SuspendServer)


@api.post(action.PATH, action.rule("os-suspend-server:resume"), action="resume", status=202)
def resume(ctx: Context, server_id: str) -> None:
    """Let a suspended server go on."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "resume", ("suspended",))
    action.begin(ctx, server, "resume", ResumeServer)


class SuspendServer(Flow[ServerRecord]):
    """Writes the guest's memory to disk."""

    event = "compute.instance.suspend"

    @step(shows="suspending")
    def suspend(self) -> Next:
        return action.ask(self.subject, Hypervisor.suspend, self.suspended)

    @step(shows="suspending")
    def suspended(self, guest: Guest) -> Next:
        action.end(self, "suspended", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)


class ResumeServer(Flow[ServerRecord]):
    """Brings the guest back with the memory that it had."""

    event = "compute.instance.resume"

    @step(shows="resuming")
    def resume(self) -> Next:
        guest = spec_of(self.session, self.cloud, self.subject)
        return action.ask(self.subject, Hypervisor.resume, self.resumed, guest=guest)

    @step(shows="resuming")
    def resumed(self, guest: Guest) -> Next:
        action.end(self, "active", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)
