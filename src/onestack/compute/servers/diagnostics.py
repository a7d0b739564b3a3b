"""Diagnostics: what a guest has used of its host, as the hypervisor counts it."""

from typing import Any

import msgspec

from onestack.compute import nodes, rules
from onestack.compute.hypervisor import Counters, Diagnosis, Hypervisor
from onestack.compute.servers import access
from onestack.compute.servers.action import NotReady, host_of
from onestack.compute.servers.record import ServerRecord
from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.bus import Bus, BusError
from onestack.core.context import Context
from onestack.core.errors import Conflict
from onestack.core.shapes import Shape

api = Operations("server diagnostics")

PATIENCE_S = 15.0
DRIVER = "libvirt"  # clients know no other name for what runs guests by QEMU


class NotRunning(Conflict):
    message = (
        "Instance {server_id} in power state {power}. Cannot get_diagnostics while the instance "
        "is in this state."
    )


class MemoryView(Shape):
    """Memory in MB."""

    maximum: int | None
    used: int | None


class CpuView(Shape):
    """A processor, and how long it ran, in nanoseconds."""

    id: int | None
    time: int | None
    utilisation: int | None = None


class NicView(Shape):
    """What a network card received and sent."""

    mac_address: str | None
    rx_octets: int | None
    rx_errors: int | None
    rx_drop: int | None
    rx_packets: int | None
    tx_octets: int | None
    tx_errors: int | None
    tx_drop: int | None
    tx_packets: int | None
    rx_rate: int | None = None
    tx_rate: int | None = None


class DiskView(Shape):
    """What was read of a disk and written to it."""

    read_bytes: int | None
    read_requests: int | None
    write_bytes: int | None
    write_requests: int | None
    errors_count: int | None = None


class DiagnosticsView(Shape):
    """A guest in numbers."""

    state: str
    driver: str
    hypervisor: str | None
    hypervisor_os: str | None
    uptime: int | None
    config_drive: bool
    num_cpus: int
    num_nics: int
    num_disks: int
    memory_details: MemoryView
    cpu_details: list[CpuView]
    nic_details: list[NicView]
    disk_details: list[DiskView]


@api.get(
    "/v2.1/servers/{server_id}/diagnostics", rules.rule("os-server-diagnostics"), threaded=True,
    kept=False,
)  # fmt: skip
def show(ctx: Context, server_id: str) -> dict[str, Any]:
    """Show what a guest has used; before 2.48, in the hypervisor's own words."""
    server = access.owned(ctx, server_id)
    address, bus = host_of(server), ctx.cloud.get(Bus)
    hypervisor = nodes.find(ctx.session, str(server.host)).hypervisor_type.lower()
    ctx.release()
    try:
        found = bus.remote(Hypervisor, address, PATIENCE_S).diagnose(server_id)
    except BusError:
        raise NotReady(server_id=server_id) from None
    if found.power != "running":
        raise NotRunning(server_id=server_id, power=found.power)
    if ctx.version < (2, 48):
        return _first_words(found)
    shown: dict[str, Any] = msgspec.to_builtins(_view(server, hypervisor, found))
    return shown


def _view(server: ServerRecord, hypervisor: str, found: Diagnosis) -> DiagnosticsView:
    since = server.launched_at
    return DiagnosticsView(
        state=found.power, driver=DRIVER, hypervisor=hypervisor,
        hypervisor_os="linux", config_drive=server.has_config_drive,
        uptime=None if since is None else int((clock.now() - since).total_seconds()),
        num_cpus=len(found.cpu_times_ns), num_nics=len(found.nics), num_disks=len(found.disks),
        memory_details=MemoryView(
            maximum=found.memory_kb // 1024,
            used=None if found.used_kb is None else found.used_kb // 1024,
        ),
        cpu_details=[CpuView(id=at, time=each) for at, each in enumerate(found.cpu_times_ns)],
        nic_details=[
            NicView(
                mac_address=each.mac, rx_octets=each.rx.bytes, rx_errors=each.rx.errors,
                rx_drop=each.rx.drops, rx_packets=each.rx.requests, tx_octets=each.tx.bytes,
                tx_errors=each.tx.errors, tx_drop=each.tx.drops, tx_packets=each.tx.requests,
            )
            for each in found.nics
        ],
        disk_details=[
            DiskView(
                read_bytes=each.read.bytes, read_requests=each.read.requests,
                write_bytes=each.written.bytes, write_requests=each.written.requests,
            )
            for each in found.disks
        ],
    )  # fmt: skip


def _first_words(found: Diagnosis) -> dict[str, Any]:
    words: dict[str, Any] = {"memory": found.memory_kb}
    words |= {f"cpu{at}_time": each for at, each in enumerate(found.cpu_times_ns)}
    for disk in found.disks:
        words |= {
            f"{disk.device}_read": disk.read.bytes, f"{disk.device}_read_req": disk.read.requests,
            f"{disk.device}_write": disk.written.bytes,
            f"{disk.device}_write_req": disk.written.requests, f"{disk.device}_errors": -1,
        }  # fmt: skip
    for nic in found.nics:
        words |= _counted(f"{nic.device}_rx", nic.rx) | _counted(f"{nic.device}_tx", nic.tx)
    return words


def _counted(name: str, found: Counters) -> dict[str, int]:
    return {
        name: found.bytes, f"{name}_packets": found.requests, f"{name}_errors": found.errors,
        f"{name}_drop": found.drops,
    }  # fmt: skip
