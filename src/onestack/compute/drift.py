"""Where a host's guests, and what was claimed for them, are not what the rows of servers say."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack import network, placement, volume
from onestack.compute.hypervisor import Guest, Hypervisor
from onestack.compute.nodes import ComputeNodeRecord
from onestack.compute.servers import moving
from onestack.compute.servers.record import BlockDeviceRecord, InterfaceRecord, ServerRecord
from onestack.core.context import Cloud
from onestack.core.drift import Disagreement, Inspection

POWER = {"active": "running", "stopped": "shutdown", "paused": "paused", "suspended": "suspended"}
REBOOT = "openstack server reboot --hard ID"
COMPARE = "restart the host's agent: it is compared with the rows then"
FREE = "openstack resource provider allocation delete ID"


def inspection() -> Inspection:
    """How hypervisors are asked, and what is compared."""
    return Inspection("hypervisor", Hypervisor, "guests", check)


def check(session: Session, cloud: Cloud, host: str, had: list[Guest]) -> Iterable[Disagreement]:
    """Compare the servers of a host with its guests, and with what they hold elsewhere."""
    here = {guest.id: guest for guest in had}
    servers = session.scalars(select(ServerRecord).where(ServerRecord.host == host)).all()
    settled = [each for each in servers if each.task_state is None and each.vm_state in POWER]
    for server in settled:
        guest = here.get(server.id)
        if guest is None and server.vm_state != "stopped":
            yield Disagreement("server", server.id, host, "has no guest", REBOOT)
        elif guest is not None:
            yield from _guest(session, server, guest)
    for guest_id in sorted(here.keys() - {server.id for server in servers}):
        if not _is_moving(session, guest_id, host):
            text = "runs here, and is no server of here"
            yield Disagreement("guest", guest_id, host, text, COMPARE)
    if len(settled) == len(servers):
        yield from _claims(session, cloud, host, servers)


def _is_moving(session: Session, server_id: str, host: str) -> bool:
    """Whether a guest is on this host because its server is on its way."""
    server = session.get(ServerRecord, server_id)
    if server is None:
        return False
    return server.task_state is not None or host in moving.hosts_of(session, server)


def _guest(session: Session, server: ServerRecord, guest: Guest) -> Iterable[Disagreement]:
    """The power and the devices of one guest."""
    host = server.host or ""
    if guest.power != POWER[server.vm_state]:
        text = f"is {server.vm_state}, and its guest is {guest.power}"
        yield Disagreement("server", server.id, host, text, REBOOT)
    disks = select(BlockDeviceRecord.volume_id).where(
        BlockDeviceRecord.server_id == server.id, BlockDeviceRecord.volume_id.is_not(None)
    )
    volumes = {each for each in session.scalars(disks) if each}
    attached = {each.volume_id for each in volume.attachments_of(session, [server.id])}
    if volumes != attached:
        text = f"has the volumes {sorted(volumes)}, and attachments of {sorted(attached)}"
        yield Disagreement("server", server.id, host, text, "openstack server remove volume")
    if guest.power not in ("running", "paused"):
        return
    plugged = {disk for disk in guest.disks if len(disk) == 36}
    if plugged != volumes:
        text = f"has the volumes {sorted(volumes)}, and its guest {sorted(plugged)}"
        yield Disagreement("server", server.id, host, text, REBOOT)
    ports = {nic.id for nic in network.nics(session, [server.id]).get(server.id, [])}
    known = select(InterfaceRecord.port_id).where(InterfaceRecord.server_id == server.id)
    lost = sorted(set(session.scalars(known)) - ports)
    if lost:
        text = f"has the ports {lost}, which are gone"
        yield Disagreement("server", server.id, host, text, "openstack server remove port")
    if set(guest.nics) != ports:
        text = f"has the ports {sorted(ports)}, and its guest {sorted(guest.nics)}"
        yield Disagreement("server", server.id, host, text, REBOOT)


def _claims(
    session: Session, cloud: Cloud, host: str, servers: Sequence[ServerRecord]
) -> Iterable[Disagreement]:
    """What servers hold of their host, and what is held of it in all."""
    node = session.scalar(select(ComputeNodeRecord).where(ComputeNodeRecord.host == host))
    if node is None:
        return
    sums: dict[str, int] = {}
    for server in servers:
        held = placement.holdings(session, server.id).get(node.id, {})
        if server.vm_state in POWER and not held:
            yield Disagreement("server", server.id, host, "has no allocation", REBOOT)
        for name, used in held.items():
            sums[name] = sums.get(name, 0) + used
    with cloud.get(placement.Snapshot).forest() as forest:
        provider = forest.providers.get(node.id)
        stock = dict(provider.stock) if provider is not None else {}
    for name, each in sorted(stock.items()):
        if each.used != sums.get(name, 0):
            text = f"{each.used} {name} are allocated, and its servers hold {sums.get(name, 0)}"
            yield Disagreement("allocation", node.id, host, text, FREE)
