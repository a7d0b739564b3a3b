"""Stop a server: its guest shuts down, or is ended when it takes too long."""

from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.servers import access, action
from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.states import check_state
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.flow import Failure, Flow, Next, step

api = Operations("server stop")

PATIENCE_S = 60  # how long a guest may take over shutting down


@api.post(action.PATH, action.rule("servers:stop"), action="os-stop", status=202)
def stop(ctx: Context, server_id: str) -> None:
    """Stop a server."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "stop", ("active", "error"))
    action.begin(ctx, server, "stop", StopServer)


class StopServer(Flow[ServerRecord]):
    """Shuts the guest down."""

    event = "compute.instance.power_off"

    @step(shows="powering-off")
    def stop(self) -> Next:
        return action.ask(self.subject, Hypervisor.stop, self.stopped, patience_s=PATIENCE_S)

    @step(shows="powering-off")
    def stopped(self, guest: Guest) -> Next:
        action.end(self, "stopped", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)
