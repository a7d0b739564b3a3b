"""What a guest wrote to its serial console."""

import re

from onestack.compute import rules
from onestack.compute.consoles.address import PATIENCE_S, NotReady
from onestack.compute.hypervisor import Hypervisor
from onestack.compute.lenient import Number
from onestack.compute.servers import access
from onestack.core.api import Operations
from onestack.core.bus import Bus, BusError, agent_address
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Shape

UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f]")


class OutputBody(Shape, forbid_unknown_fields=True):
    """How many lines, from the end; all of them where it does not say."""

    length: Number | None = None


class OutputView(Shape):
    """The lines."""

    output: str


api = Operations("console output")


@api.post(
    "/v2.1/servers/{server_id}/action",
    rules.rule("os-console-output", rules.MEMBER),
    action="os-getConsoleOutput",
    threaded=True,
    reads=True,
)
def output(ctx: Context, server_id: str, body: OutputBody | None) -> OutputView:
    """Show the end of what a guest wrote."""
    server = access.owned(ctx, server_id)
    wanted = int(body.length) if body is not None and body.length is not None else -1
    if wanted < -1:
        raise BadRequest(f"Invalid input for field/attribute length. Value: {wanted}.")
    host = server.host
    if host is None:
        raise NotReady(server_id=server_id)
    ctx.release()
    agent = ctx.cloud.get(Bus).remote(Hypervisor, agent_address(host, "hypervisor"), PATIENCE_S)
    try:
        text = agent.console_log(server_id)
    except BusError:
        raise NotReady(server_id=server_id) from None
    return OutputView(output=UNPRINTABLE.sub("", last_lines(text, wanted)))


def last_lines(text: str, count: int) -> str:
    """The last lines of a text; all of it for -1."""
    if count < 0:
        return text
    return "\n".join(text.split("\n")[-count:]) if count else ""
