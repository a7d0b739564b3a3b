"""Remote consoles: an address at which a guest's screen or serial line is shown."""

from typing import Literal
from urllib.parse import quote

from onestack.compute import rules
from onestack.compute.consoles import pages, proxy
from onestack.compute.consoles.address import NotReady, address_of
from onestack.compute.consoles.tokens import issue
from onestack.compute.servers import access
from onestack.compute.servers.record import ServerRecord
from onestack.compute.style import ROOT
from onestack.core.api import Operations
from onestack.core.bus import Bus, BusError
from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.shapes import Shape

KINDS = {"novnc": ("vnc", "vnc"), "serial": ("serial", "serial")}  # protocol and guest's console


class Unavailable(BadRequest):
    message = "Unavailable console type {type}."


class ConsoleBody(Shape, forbid_unknown_fields=True):
    """Which kind of console."""

    protocol: Literal["vnc", "spice", "serial", "rdp", "mks"]
    type: Literal["novnc", "xvpvnc", "spice-html5", "spice-direct", "rdp-html5", "serial", "webmks"]


class VncBody(Shape, forbid_unknown_fields=True):
    type: Literal["novnc", "xvpvnc"]


class SerialBody(Shape, forbid_unknown_fields=True):
    type: Literal["serial"]


class ConsoleView(Shape):
    """Where the console is shown."""

    type: str
    url: str


class RemoteConsoleView(ConsoleView):
    """The same, of the newer operation."""

    protocol: str


api = Operations("remote consoles")
RULE = rules.rule("os-remote-consoles", rules.MEMBER)
ACTION = "/v2.1/servers/{server_id}/action"


@api.post(
    "/v2.1/servers/{server_id}/remote-consoles",
    RULE,
    key="remote_console",
    since="2.6",
    threaded=True,
)
def create(ctx: Context, server_id: str, body: ConsoleBody) -> RemoteConsoleView:
    """Make an address for a console, good for one visit."""
    if KINDS.get(body.type, ("",))[0] != body.protocol:
        raise Unavailable(type=body.type)
    shown = _opened(ctx, server_id, body.type)
    return RemoteConsoleView(type=shown.type, url=shown.url, protocol=body.protocol)


@api.post(ACTION, RULE, action="os-getVNCConsole", key="console", until="2.5", threaded=True)
def vnc(ctx: Context, server_id: str, body: VncBody) -> ConsoleView:
    """Make an address for a guest's screen."""
    return _opened(ctx, server_id, body.type)


@api.post(ACTION, RULE, action="os-getSerialConsole", key="console", until="2.5", threaded=True)
def serial(ctx: Context, server_id: str, body: SerialBody) -> ConsoleView:
    """Make an address for a guest's serial line."""
    return _opened(ctx, server_id, body.type)


def _opened(ctx: Context, server_id: str, kind: str) -> ConsoleView:
    server = access.owned(ctx, server_id)
    if kind not in KINDS:
        raise Unavailable(type=kind)
    _, wanted = KINDS[kind]
    _check_there(ctx, server, wanted)
    token = issue(ctx.session, access.owned(ctx, server_id), wanted)
    return ConsoleView(type=kind, url=_url(ctx, kind, token))


def _check_there(ctx: Context, server: ServerRecord, wanted: str) -> None:
    """Refuse what has no such console now; nothing is held while the agent is asked."""
    server_id, host = server.id, server.host
    if host is None or server.vm_state in ("building", "shelved_offloaded"):
        raise NotReady(server_id=server_id)
    ctx.release()
    try:
        address_of(ctx.cloud.get(Bus), host, server_id, wanted)
    except BusError:
        raise NotReady(server_id=server_id) from None


def _url(ctx: Context, kind: str, token: str) -> str:
    base = ctx.request.base_url
    socket = f"{ROOT}{proxy.PATH}?token={token}"
    if kind == "serial":
        return f"{base.replace('http', 'ws', 1)}{socket}"
    path = quote(socket.lstrip("/"), safe="")
    return f"{base}{ROOT}/console/{pages.PAGE}?path={path}&autoconnect=true"
