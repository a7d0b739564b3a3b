"""Start a server that was stopped."""

from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.servers import access, action
from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import check_state
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.flow import Failure, Flow, Next, step

api = Operations("server start")


@api.post(action.PATH, action.rule("servers:start"), action="os-start", status=202)
def start(ctx: Context, server_id: str) -> None:
    """Start a server."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "start", ("stopped",))
    action.begin(ctx, server, "start", StartServer)


class StartServer(Flow[ServerRecord]):
    """Starts the guest, with the devices that the server has now."""

    event = "compute.instance.power_on"

    @step(shows="powering-on")
    def power_on(self) -> Next:
        guest = spec_of(self.session, self.cloud, self.subject)
        return action.ask(self.subject, Hypervisor.start, self.started, guest=guest)

    @step(shows="powering-on")
    def started(self, guest: Guest) -> Next:
        action.end(self, "active", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)
