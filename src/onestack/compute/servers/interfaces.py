"""Interfaces: the ports that a server has, and how it gets one more and lets go of one."""

from typing import Annotated, Any

from sqlalchemy.orm import Session

from onestack import network
from onestack.compute import rules
from onestack.compute.hypervisor import Hypervisor, Nic
from onestack.compute.servers import access, instance_actions, networking
from onestack.compute.servers.networking import NicOfServer, nics_of
from onestack.compute.servers.notifications import described
from onestack.compute.servers.record import InterfaceRecord, ServerRecord, touch
from onestack.compute.servers.states import CHANGING_S, check_state, is_changing, is_shut_down
from onestack.compute.servers.wanted import Tag, Uuid
from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.bus import agent_address
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, NotFound
from onestack.core.flow import Ask, Failure, Flow, Next, Sleep, step
from onestack.core.shapes import Meta, Shape, field, since
from onestack.network import Requested

api = Operations("interfaces of servers")

PATH = "/v2.1/servers/{server_id}/os-interface"
CHANGEABLE = ("active", "paused", "stopped")
WIRING_S, LOOK_S = 300.0, 30.0


class NotAttached(NotFound):
    message = "No instances found with port {port_id}"


class FixedAddress(Shape):
    """An address, and the subnet that it is of."""

    ip_address: str
    subnet_id: str


class WantedAddress(Shape, forbid_unknown_fields=True):
    """An address that the port shall have."""

    ip_address: str


class InterfaceWanted(Shape, forbid_unknown_fields=True):
    """The port, or the network, that a server shall be on."""

    net_id: Uuid | None = None
    port_id: Uuid | None = None
    fixed_ips: Annotated[list[WantedAddress], Meta(min_length=1, max_length=1)] | None = None
    tag: Annotated[Tag | None, since("2.49")] = None


class InterfaceView(Shape):
    """A port of a server."""

    port_id: str
    net_id: str
    mac_addr: str
    port_state: str
    fixed_ips: list[FixedAddress]
    tag: Annotated[str | None, since("2.70")]


class InterfaceList(Shape):
    """The ports of a server."""

    interfaces: list[InterfaceView] = field(name="interfaceAttachments")


def _rule(name: str, check: str = rules.MEMBER) -> Any:
    return rules.rule(f"os-attach-interfaces:{name}", check)


@api.get(PATH, _rule("list", rules.READER), kept=False)
def index(ctx: Context, server_id: str) -> InterfaceList:
    """List a server's ports."""
    server = access.owned(ctx, server_id)
    nics = nics_of(ctx.session, [server.id]).get(server.id, ())
    return InterfaceList(interfaces=[view(each) for each in nics])


@api.get(PATH + "/{port_id}", _rule("show", rules.READER), key="interfaceAttachment", kept=False)
def show(ctx: Context, server_id: str, port_id: str) -> InterfaceView:
    """Show a server's port."""
    server = access.owned(ctx, server_id)
    return view(_nic(ctx, server, port_id))


@api.post(PATH, _rule("create"), key="interfaceAttachment")
def create(ctx: Context, server_id: str, body: InterfaceWanted) -> InterfaceView:
    """Give a server a port."""
    server = access.unlocked(ctx, server_id)
    check_state(server, "attach_interface", CHANGEABLE)
    wanted = _planned(ctx, server, body)
    (port_id,) = networking.claim(ctx.session, server, [wanted], None)
    if server.host:
        network.bind(ctx.session, [port_id], server.host)
    AttachInterface.start(
        ctx.session, ctx.session.get_one(InterfaceRecord, port_id),
        began=clock.now().timestamp(),
    )  # fmt: skip
    touch(server)
    instance_actions.begin(ctx.session, server, "attach_interface", ctx.caller)
    return view(_nic(ctx, server, port_id))


@api.delete(PATH + "/{port_id}", _rule("delete"), status=202)
def delete(ctx: Context, server_id: str, port_id: str) -> None:
    """Take a port from a server."""
    server = access.unlocked(ctx, server_id)
    found = ctx.session.get(InterfaceRecord, port_id)
    if found is None or found.server_id != server.id:
        raise NotAttached(port_id=port_id[:64])
    check_state(server, "detach_interface", CHANGEABLE)
    DetachInterface.start(ctx.session, found)
    instance_actions.begin(ctx.session, server, "detach_interface", ctx.caller)


def port_deleted(session: Session, port_id: str) -> None:
    """A port that a server has is deleted where ports are: the guest loses its card."""
    found = session.get(InterfaceRecord, port_id)
    if found is not None:
        DetachInterface.start(session, found)


def view(nic: NicOfServer) -> InterfaceView:
    """A port of a server as clients see it."""
    fixed = [
        FixedAddress(ip_address=each.address, subnet_id=each.subnet_id) for each in nic.addresses
    ]
    return InterfaceView(
        port_id=nic.port_id, net_id=nic.network_id, mac_addr=nic.mac, port_state=nic.status,
        fixed_ips=fixed, tag=nic.tag,
    )  # fmt: skip


class AttachInterface(Flow[InterfaceRecord]):
    """A port that is bound to the server's host is wired there, and plugged into the guest."""

    event = "compute.instance.interface.attach"

    began: float = 0.0
    failure: str = ""

    @step()
    def wait_for_port(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        nic = self._nic(server)
        if nic is None or server.host is None:
            return self.finish
        if not nic.is_wired:
            if clock.now().timestamp() - self.began > WIRING_S:
                raise Failure("VirtualInterfaceCreateException", "The port was not wired in time.")
            return Sleep(LOOK_S)
        return self.plug

    @step()
    def plug(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        nic = self._nic(server)
        if is_changing(server):
            return Sleep(CHANGING_S)  # it may start the guest without this port
        if nic is None or server.host is None or is_shut_down(server):
            return self.finish
        model = server.image_properties.get("hw_vif_model", "virtio")
        card = Nic(port_id=nic.port_id, device=nic.device, mac=nic.mac, mtu=nic.mtu, model=model)
        return Ask(
            agent_address(server.host, "hypervisor"), Hypervisor.attach_nic,
            {"guest_id": server.id, "nic": card}, then=self.finish, otherwise=self.undo,
        )  # fmt: skip

    @step()
    def finish(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        instance_actions.finish(self.session, server)
        return None

    @step()
    def undo(self, failure: Failure) -> Next:
        raise failure

    def failed(self, failure: Failure) -> None:
        """The server does not get it."""
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        instance_actions.finish(self.session, server, failure)
        networking.release(self.session, server, [self.subject.port_id])

    def describe(self) -> dict[str, Any]:
        return _described(self)

    def _nic(self, server: ServerRecord) -> NicOfServer | None:
        nics = nics_of(self.session, [server.id]).get(server.id, ())
        return next((each for each in nics if each.port_id == self.subject.port_id), None)


class DetachInterface(Flow[InterfaceRecord]):
    """A card is taken out of the guest; its port is free then, or gone."""

    event = "compute.instance.interface.detach"
    preempts = True

    @step()
    def unplug(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        if is_changing(server):
            return Sleep(CHANGING_S)
        if server.host is None:
            return self.forget
        return Ask(
            agent_address(server.host, "hypervisor"), Hypervisor.detach_nic,
            {"guest_id": server.id, "port_id": self.subject.port_id}, then=self.forget,
        )  # fmt: skip

    @step()
    def forget(self) -> Next:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        if is_changing(server):
            return self.unplug  # a guest that was started meanwhile may have it again
        instance_actions.finish(self.session, server)
        networking.release(self.session, server, [self.subject.port_id])
        touch(server)
        return None

    def failed(self, failure: Failure) -> None:
        server = self.session.get_one(ServerRecord, self.subject.server_id)
        instance_actions.finish(self.session, server, failure)

    def describe(self) -> dict[str, Any]:
        return _described(self)


def _planned(ctx: Context, server: ServerRecord, body: InterfaceWanted) -> Requested:
    """What is wanted, refused if it cannot be."""
    if body.net_id and body.port_id:
        raise BadRequest("Must not input both network_id and port_id")
    if body.fixed_ips and not body.net_id:
        raise BadRequest("Must input network_id when request IP address")
    wanted = None
    if body.net_id or body.port_id:
        address = body.fixed_ips[0].ip_address if body.fixed_ips else None
        wanted = [
            Requested(network_id=body.net_id, port_id=body.port_id, address=address, tag=body.tag)
        ]
    try:
        found = network.plan(
            ctx.session, server.project_id, wanted, is_admin=rules.is_admin(ctx),
            goes_outside=rules.is_allowed_own(ctx, rules.ATTACH_EXTERNAL),
        )  # fmt: skip
    except Conflict as error:
        if body.port_id:
            raise
        raise BadRequest(error.text) from None
    if not found:
        raise BadRequest("No networks are available for this server.")
    if wanted is None and body.tag:
        return Requested(network_id=found[0].network_id, tag=body.tag)
    return found[0]


def _nic(ctx: Context, server: ServerRecord, port_id: str) -> NicOfServer:
    nics = nics_of(ctx.session, [server.id]).get(server.id, ())
    found = next((each for each in nics if each.port_id == port_id), None)
    if found is None:
        raise NotAttached(port_id=port_id[:64])
    return found


def _described(flow: Flow[InterfaceRecord]) -> dict[str, Any]:
    server = flow.session.get(ServerRecord, flow.subject.server_id)
    known = described(server) if server is not None else {}
    return {**known, "port_id": flow.subject.port_id}
