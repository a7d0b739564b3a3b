"""Reboot a server: its guest is asked to (soft), or ended and started anew (hard)."""

from typing import Literal

from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.servers import access, action
from onestack.compute.servers.record import ServerRecord
from onestack.compute.servers.spec import spec_of
from onestack.compute.servers.states import check_state
from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.flow import Failure, Flow, Next, step
from onestack.core.shapes import Shape

api = Operations("server reboot")

HARD_STATES = ("active", "stopped", "paused", "suspended", "error")
SOFT_TASKS = ("rebooting", "reboot_pending", "reboot_started")


class RebootBody(Shape, forbid_unknown_fields=True):
    """How to reboot."""

    type: Literal["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]


@api.post(action.PATH, action.rule("servers:reboot"), action="reboot", status=202)
def reboot(ctx: Context, server_id: str, body: RebootBody) -> None:
    """Reboot a server; a hard reboot comes before a soft one that is under way."""
    server = access.unlocked(ctx, server_id)
    if body.type.lower() == "soft":
        check_state(server, "reboot", ("active",))
        action.begin(ctx, server, "reboot", RebootServer)
        return
    check_state(server, "reboot", HARD_STATES, (None, *SOFT_TASKS))
    action.begin(ctx, server, "reboot", ResetServer)


class RebootServer(Flow[ServerRecord]):
    """Asks the guest to reboot."""

    event = "compute.instance.reboot"

    @step(shows="rebooting")
    def reboot(self) -> Next:
        guest = spec_of(self.session, self.cloud, self.subject)
        given = {"guest": guest, "is_hard": False}
        return action.ask(self.subject, Hypervisor.reboot, self.rebooted, **given)

    @step(shows="reboot_started")
    def rebooted(self, guest: Guest) -> Next:
        action.end(self, "active", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)


class ResetServer(Flow[ServerRecord]):
    """Ends the guest and starts it anew."""

    event = "compute.instance.reboot"
    preempts = True

    @step(shows="rebooting_hard")
    def reset(self) -> Next:
        guest = spec_of(self.session, self.cloud, self.subject)
        given = {"guest": guest, "is_hard": True}
        return action.ask(self.subject, Hypervisor.reboot, self.started, **given)

    @step(shows="reboot_started_hard")
    def started(self, guest: Guest) -> Next:
        self.subject.fault = None
        action.end(self, "active", guest)
        return None

    def failed(self, failure: Failure) -> None:
        action.give_up(self, failure)
