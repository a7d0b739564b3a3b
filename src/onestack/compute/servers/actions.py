"""What can be done to servers, besides creating, changing and deleting them."""

from typing import Any

from onestack.compute.consoles import output, pages, remote, tokens
from onestack.compute.servers import instance_actions, lock, pause, reset_state, stop
from onestack.core.flow import Flow

NOUNS = (
    pause.api,
    stop.api,
    lock.api,
    reset_state.api,
    output.api,
    remote.api,
    tokens.api,
    pages.api,
)

FLOWS: tuple[type[Flow[Any]], ...] = (
    pause.PauseServer,
    pause.UnpauseServer,
    stop.StopServer,
    tokens.forget_console_tokens,
)

# Rules that actions judge by besides the ones that they declare.
JUDGED_TOO = (instance_actions.EVENTS, instance_actions.DETAILS, lock.UNLOCK_OVERRIDE)
