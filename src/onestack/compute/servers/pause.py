"""Pause a server: its processors stand still, its memory stays where it is."""

from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.servers import access, action
from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.states import check_state
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.flow import Failure, Flow, Next, step

api = Operations("server pause")


@api.post(action.PATH, action.rule("os-pause-server:pause"), action="pause", status=202)
def pause(ctx: Context, server_id: str) -> None:
    """Pause a server."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "pause", ("active",))
    action.begin(ctx, server, "pause", PauseServer)


@api.post(action.PATH, action.rule("os-pause-server:unpause"), action="unpause", status=202)
def unpause(ctx: Context, server_id: str) -> None:
    """Let a paused server go on."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "unpause", ("paused",))
    action.begin(ctx, server, "unpause", UnpauseServer)


class PauseServer(Flow[ServerRecord]):
    """Pauses the guest."""

    event = "compute.instance.pause"

    @step(shows="pausing")
    def pause(self) -> Next:
        return action.ask(self.subject, Hypervisor.pause, self.paused)

    @step(shows="pausing")
    def paused(self, guest: Guest) -> Next:
        action.end(self, "paused", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)


class UnpauseServer(Flow[ServerRecord]):
    """Lets the guest go on."""

    event = "compute.instance.unpause"

    @step(shows="unpausing")
    def unpause(self) -> Next:
        return action.ask(self.subject, Hypervisor.unpause, self.unpaused)

    @step(shows="unpausing")
    def unpaused(self, guest: Guest) -> Next:
        action.end(self, "active", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)
