"""Where a guest's console answers, as the agent of its host says."""

from typing import Literal, cast

from onestack.compute.hypervisor import ConsoleAddress, Hypervisor
from onestack.core.bus import AgentError, Bus, agent_address
from onestack.core.errors import Conflict

PATIENCE_S = 15.0


class NotReady(Conflict):
    message = "Instance {server_id} is not ready"


def address_of(bus: Bus, host: str, server_id: str, kind: str) -> ConsoleAddress:
    """Ask the agent; `BusError` when it has no such console or does not answer."""
    address = agent_address(host, "hypervisor")
    asked = bus.remote(Hypervisor, address, PATIENCE_S)
    found = asked.console(server_id, cast(Literal["vnc", "serial"], kind))
    if not found.path and not found.port:
        raise AgentError("NoConsole", f"guest {server_id} has no {kind} console")
    return found
