"""Where a host's guests are kept: as the agent sees it, and as libvirt does.

libvirtd runs in a mount namespace in which the agent's folders lie over the usual ones of libvirt.
So agents on one machine never meet, and a guest's files have the same names on every host, which
is what lets a guest move.
"""

import shutil
from pathlib import Path

import msgspec

# How long the path of a Unix socket may be, and the longest of ours below the folder.
SOCKET_PATH_MAX = 107
LONGEST_SOCKET = len("/run/01234567-89ab-cdef-0123-456789abcdef.blocks")

SHADOWED = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "run": "/run/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
}


class FolderTooDeep(ValueError):
    """The names of sockets in the folder would be longer than an address may be."""


class Layout(msgspec.Struct, frozen=True):
    """The folder of one agent."""

    folder: Path

    def make(self) -> None:
        """Have all folders."""
        if len(str(self.folder)) + LONGEST_SOCKET > SOCKET_PATH_MAX:
            most = SOCKET_PATH_MAX - LONGEST_SOCKET
            raise FolderTooDeep(f"{self.folder}: its path must not be longer than {most}")
        for name in SHADOWED:
            (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in (self.guests, self.images):
            path.mkdir(exist_ok=True, mode=0o700)

    def remove(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def guests(self) -> Path:
        return self.folder / "lib/guests"

    @property
    def images(self) -> Path:
        return self.folder / "lib/images"

    @property
    def socket(self) -> Path:
        return self.folder / "run/libvirt-sock"

    def guest(self, guest_id: str) -> Path:
        return self.guests / guest_id

    def serial_log(self, guest_id: str) -> Path:
        return self.guest(guest_id) / "serial.log"

    def guest_socket(self, guest_id: str, kind: str) -> Path:
        return self.folder / "run" / f"{guest_id}.{kind}"


def inside(guest_id: str, name: str) -> str:
    """A guest's file as libvirt and QEMU see it."""
    return f"{SHADOWED['lib']}/guests/{guest_id}/{name}"


def inside_socket(guest_id: str, kind: str) -> str:
    """A guest's socket as libvirt and QEMU see it."""
    return f"{SHADOWED['run']}/{guest_id}.{kind}"
