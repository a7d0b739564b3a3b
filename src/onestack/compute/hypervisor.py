"""The contract of a hypervisor: what a host has, the guests on it, and what is done to them."""

from typing import Any, Literal, Protocol

import msgspec

from onestack.core.download import Source

Power = Literal["running", "paused", "shutdown", "crashed", "suspended", "none"]


class HostDescription(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host has to offer."""

    driver: str
    hypervisor_type: str  # QEMU, fake
    hypervisor_version: int
    vcpus: int
    memory_mb: int
    disk_gb: int
    address: str = "127.0.0.1"
    architecture: str = "x86_64"
    machines: list[str] = []
    traits: list[str] = []  # of placement
    cpu_info: dict[str, Any] = {}
    initiator: str = ""  # as storage knows the host


class Disk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guest's disk: made from an image, empty, or a volume that is reached by a connection.

    `id` names it on the host: `root`, `ephemeral0`, `swap`, `config`, or the volume's id.
    """

    id: str
    device: str  # vda, vdb and so on
    size_gb: int = 0
    size_mb: int = 0  # of swap
    bus: str = "virtio"
    image: Source | None = None
    connection: dict[str, Any] | None = None  # driver_volume_type and data, from storage
    filesystem: str | None = None
    boot_index: int | None = None
    is_read_only: bool = False
    serial: str = ""
    config_drive: dict[str, str] | None = None  # path within the drive: content, base64


class Nic(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A guest's network card; its tap device is there already."""

    port_id: str
    device: str
    mac: str
    mtu: int = 1500
    model: str = "virtio"


class GuestSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything about a guest, from which it can be made anew at any time."""

    id: str
    name: str  # instance-0000002a
    vcpus: int
    memory_mb: int
    disks: list[Disk] = []
    nics: list[Nic] = []
    kernel: Source | None = None
    ramdisk: Source | None = None
    command_line: str = ""
    machine: str = ""
    properties: dict[str, str] = {}  # hw_* of the image and hw:* of the flavour
    project_id: str = ""
    user_id: str = ""
    display_name: str = ""


class Guest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A guest that is on a host."""

    id: str
    power: Power
    disks: list[str] = []  # ids of its disks
    nics: list[str] = []  # ids of its ports


class Counters(msgspec.Struct, frozen=True, omit_defaults=True):
    """What went one way: bytes, in so many packets or requests."""

    bytes: int = 0
    requests: int = 0
    errors: int = 0
    drops: int = 0


class NicCounters(msgspec.Struct, frozen=True):
    """A network card's traffic, as the guest sees its directions."""

    device: str
    mac: str
    rx: Counters
    tx: Counters


class DiskCounters(msgspec.Struct, frozen=True):
    """A disk's traffic."""

    device: str
    read: Counters
    written: Counters


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a guest has used of its host since it was started."""

    power: Power
    memory_kb: int
    used_kb: int | None = None
    cpu_times_ns: list[int] = []
    nics: list[NicCounters] = []
    disks: list[DiskCounters] = []


class ConsoleAddress(msgspec.Struct, frozen=True):
    """Where a guest's console answers: a host and port, or a path of a Unix socket."""

    kind: Literal["vnc", "serial"]
    host: str = ""
    port: int = 0
    path: str = ""


class Hypervisor(Protocol):
    """Driver of a host's guests. Every method may be called again with the same effect: a guest
    that runs already is started, one that is gone is destroyed."""

    def describe(self) -> HostDescription: ...
    def create(self, guest: GuestSpec) -> Guest:
        """Make the guest's disks, where they are not there, and start it."""

    def destroy(self, guest_id: str, keep_disks: bool = False) -> None:
        """End the guest; with its disks and whatever else the host has of it, unless kept."""

    def start(self, guest: GuestSpec) -> Guest:
        """Start a guest whose disks are there, with exactly these devices."""

    def stop(self, guest_id: str, patience_s: int) -> Guest:
        """Ask the guest to shut down; end it when it has not after that many seconds (0: now)."""

    def reboot(self, guest: GuestSpec, is_hard: bool) -> Guest: ...
    def pause(self, guest_id: str) -> Guest: ...
    def unpause(self, guest_id: str) -> Guest: ...
    def suspend(self, guest_id: str) -> Guest: ...
    def resume(self, guest: GuestSpec) -> Guest: ...
    def resize_root(self, guest_id: str, size_gb: int) -> None:
        """Make the root disk of a guest that is shut down larger; it is never made smaller."""

    def send_disks(self, guest_id: str, address: str) -> None:
        """Copy the disks of a guest that is shut down to the agent at an address of `offer`."""

    def offer(self, guest: GuestSpec, is_live: bool) -> str:
        """Get ready for a guest of another host; where it should be sent to."""

    def migrate(self, guest: GuestSpec, address: str) -> None:
        """Send the running guest to an address of `offer`; it runs there, and here no more, when
        this returns. When it fails, it still runs here."""

    def attach_disk(self, guest_id: str, disk: Disk) -> None: ...
    def detach_disk(self, guest_id: str, disk_id: str) -> None: ...
    def extend_disk(self, guest_id: str, disk_id: str, size_gb: int) -> None:
        """Let a guest see that a volume of it has grown."""

    def attach_nic(self, guest_id: str, nic: Nic) -> None: ...
    def detach_nic(self, guest_id: str, port_id: str) -> None: ...
    def snapshot(self, guest_id: str, url: str, disk_format: str) -> None:
        """PUT the root disk's content, as an image of this format, to a signed address."""

    def console_log(self, guest_id: str) -> str:
        """The end of what the guest wrote to its serial console."""

    def diagnose(self, guest_id: str) -> Diagnosis:
        """What the guest has used."""

    def console(self, guest_id: str, kind: Literal["vnc", "serial"]) -> ConsoleAddress: ...
    def guests(self) -> list[Guest]:
        """Every guest on the host, for comparing with what should be there."""
