"""How a server fails: into the state of error, with what the client may know of the reason."""

from typing import Any

from onestack.compute.servers import moments
from onestack.compute.servers.record import ServerRecord, touch
from onestack.core import clock
from onestack.core.flow import Failure

MESSAGE_MAX = 255


def fail(server: ServerRecord, failure: Failure) -> None:
    """Let a server be in error."""
    server.vm_state = "error"
    note(server, failure)


def note(server: ServerRecord, failure: Failure) -> None:
    """Say what went wrong; the server's state stays what it is."""
    server.fault = fault_of(failure)
    touch(server)


def fault_of(failure: Failure) -> dict[str, Any]:
    """A failure as a server shows it."""
    return {
        "code": 500,
        "created": moments.second(clock.now()),
        "message": failure.text[:MESSAGE_MAX],
        "details": f"{failure.error} at {failure.step}: {failure.text}",
    }
