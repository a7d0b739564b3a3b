"""What the actions on servers have in common: how one begins, asks the guest's host, and ends."""

from collections.abc import Callable
from typing import Any, Final

from onestack.compute import rules
from onestack.compute.hypervisor import Guest
from onestack.compute.servers import faults, instance_actions
from onestack.compute.servers.record import ServerRecord, touch
from onestack.compute.servers.states import show_power
from onestack.core.bus import agent_address
from onestack.core.context import Context
from onestack.core.errors import Conflict
from onestack.core.flow import Ask, Failure, Flow
from onestack.core.policy import Rule

PATH: Final = "/v2.1/servers/{server_id}/action"
DRIVER_S = 300.0  # how long a host may take over one thing


class NotReady(Conflict):
    message = "Instance {server_id} is not ready"


def rule(name: str, check: str = rules.MEMBER) -> Rule:
    """The policy of an action that a server's own project may do."""
    return rules.rule(name, check)


def begin(
    ctx: Context, server: ServerRecord, name: str, flow: type[Flow[ServerRecord]], **state: Any
) -> None:
    """Start what an action does, and note who asked for it."""
    flow.start(ctx.session, server, **state)
    instance_actions.begin(ctx.session, server, name, ctx.caller)
    touch(server)


def host_of(server: ServerRecord) -> str:
    """Where its host's hypervisor is asked."""
    if server.host is None:
        raise NotReady(server_id=server.id)
    return agent_address(server.host, "hypervisor")


def ask(
    server: ServerRecord, method: Callable[..., Any], then: Callable[..., Any], **arguments: Any
) -> Ask:
    """Have a server's host do something with its guest."""
    given = arguments if "guest" in arguments else {"guest_id": server.id, **arguments}
    return Ask(host_of(server), method, given, then=then, timeout_s=DRIVER_S)


def end(flow: Flow[ServerRecord], vm_state: str | None = None, guest: Guest | None = None) -> None:
    """Note what an action led to."""
    server = flow.subject
    if vm_state is not None:
        server.vm_state = vm_state
    if guest is not None:
        show_power(server, guest.power)
    touch(server)
    instance_actions.finish(flow.session, server)


def give_up(flow: Flow[ServerRecord], failure: Failure) -> None:
    """Note why an action failed; the server is as it was before."""
    touch(flow.subject)
    instance_actions.finish(flow.session, flow.subject, failure)


def break_down(flow: Flow[ServerRecord], failure: Failure) -> None:
    """Note that an action failed, and that the server did not get over it."""
    faults.fail(flow.subject, failure)
    instance_actions.finish(flow.session, flow.subject, failure)
