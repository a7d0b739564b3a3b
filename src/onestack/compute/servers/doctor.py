"""Where rows, hosts, placement, networks and volumes disagree on servers, and what mends it."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack import network, placement, volume
from onestack.compute import rules
from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.servers import moving
from onestack.compute.servers.record import BlockDeviceRecord, InterfaceRecord, ServerRecord
from onestack.compute.servers.states import POWER_STATES
from onestack.core import agents
from onestack.core.api import Operations
from onestack.core.bus import Bus, BusError, agent_address
from onestack.core.context import Context
from onestack.core.shapes import Shape

api = Operations("doctor")

PATIENCE_S = 10.0
SHOULD_RUN = ("active",)
REBOOT = "openstack server reboot --hard {server_id}"
ERASE = "it goes by itself: hosts are compared with the rows every five minutes"


class Disagreement(Shape):
    """Something that is not as it should be, and what to do about it."""

    kind: str
    resource: str
    finding: str
    remedy: str


class Diagnosis(Shape):
    """All of them."""

    disagreements: list[Disagreement]


@api.get("/v2.1/onestack/doctor", rules.rule("onestack:doctor"), threaded=True, kept=False)
def show(ctx: Context) -> Diagnosis:
    """Compare what the rows say of servers with what there is."""
    rules.allow_own(ctx)
    session = ctx.session
    servers = session.scalars(select(ServerRecord)).all()
    at_rest = [each for each in servers if each.task_state is None]
    found = [*_claims(session, at_rest), *_ports(session), *_volumes(session)]
    moving_from = {each.id: moving.hosts_of(session, each) for each in servers}
    hosts = [each.host for each in agents.of_kind(session, "hypervisor") if each.is_alive]
    known = {each.id: each for each in servers}
    session.expunge_all()
    ctx.release()
    bus = ctx.cloud.get(Bus)
    for host in hosts:
        try:
            address = agent_address(host, "hypervisor")
            guests = bus.remote(Hypervisor, address, PATIENCE_S).guests()
        except BusError as error:
            found.append(
                Disagreement(
                    kind="host", resource=host, finding=f"does not answer: {error}",
                    remedy=f"see the log of the agent on {host}",
                )
            )  # fmt: skip
            continue
        here = [each for each in at_rest if each.host == host]
        found += _missing(here, guests)
        found += _strangers(host, known, moving_from, guests)
    return Diagnosis(disagreements=found)


def _claims(session: Session, servers: Sequence[ServerRecord]) -> Iterable[Disagreement]:
    """Servers on hosts hold something there; others hold nothing."""
    for server in servers:
        held = placement.holdings(session, server.id)
        if server.host and not held:
            yield Disagreement(
                kind="allocation", resource=server.id,
                finding=f"is on {server.host} and holds nothing there",
                remedy=f"openstack server migrate --live-migration {server.id}, or shelve it",
            )  # fmt: skip
        elif held and not server.host and server.vm_state == "error":
            yield Disagreement(
                kind="allocation", resource=server.id, finding="is on no host and holds something",
                remedy=f"openstack server delete {server.id}",
            )  # fmt: skip


def _ports(session: Session) -> Iterable[Disagreement]:
    """Ports that servers have are there."""
    rows = session.execute(select(InterfaceRecord.server_id, InterfaceRecord.port_id)).all()
    nics = network.nics(session, {row.server_id for row in rows}) if rows else {}
    there = {nic.id for several in nics.values() for nic in several}
    for server_id, port_id in rows:
        if port_id not in there:
            yield Disagreement(
                kind="port", resource=server_id, finding=f"has the port {port_id}, which is gone",
                remedy=f"openstack server remove port {server_id} {port_id}",
            )  # fmt: skip


def _volumes(session: Session) -> Iterable[Disagreement]:
    """Volumes that servers have are theirs."""
    rows = session.scalars(
        select(BlockDeviceRecord).where(BlockDeviceRecord.attachment_id.is_not(None))
    ).all()
    attachments: Sequence[Any] = volume.attachments_of(session, {row.server_id for row in rows})
    there = {each.id for each in attachments}
    for row in rows:
        if row.attachment_id not in there:
            yield Disagreement(
                kind="attachment", resource=row.server_id,
                finding=f"has the volume {row.volume_id}, of which storage knows nothing",
                remedy=f"openstack server remove volume {row.server_id} {row.volume_id}",
            )  # fmt: skip


def _missing(servers: Iterable[ServerRecord], guests: Sequence[Guest]) -> Iterable[Disagreement]:
    """What should run runs, and is as its row says."""
    here = {guest.id: guest for guest in guests}
    for server in servers:
        guest = here.get(server.id)
        remedy = REBOOT.format(server_id=server.id)
        if guest is None and server.vm_state in SHOULD_RUN:
            finding = f"should run on {server.host}, which has no such guest"
        elif guest is not None and server.power_state != POWER_STATES[guest.power]:
            finding = f"is {guest.power} on {server.host}, and the row says otherwise"
        else:
            continue
        yield Disagreement(kind="guest", resource=server.id, finding=finding, remedy=remedy)


def _strangers(
    host: str, known: dict[str, ServerRecord], on_their_way: dict[str, list[str]],
    guests: Sequence[Guest],
) -> Iterable[Disagreement]:  # fmt: skip
    """Guests are of servers that are here, or on their way."""
    for guest in guests:
        server = known.get(guest.id)
        is_moving = server is not None and (
            server.task_state is not None or host in on_their_way.get(guest.id, ())
        )
        if not is_moving and (server is None or server.host != host):
            yield Disagreement(
                kind="guest", resource=guest.id, finding=f"is on {host}, where no server is",
                remedy=ERASE,
            )  # fmt: skip
