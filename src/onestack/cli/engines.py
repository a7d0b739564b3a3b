"""Engines: programs of the host that drivers need, and Debian's packages that bring them.

`make up` runs this module before it starts a cloud. What cannot be installed is named, and its
simulated driver stands in.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

INSTALL_S = 600


@dataclass(frozen=True)
class Engine:
    """One program, and what a cloud is without it."""

    name: str
    package: str
    program: str  # or another file of the package, by its path
    why: str


NO_SERVERS = "servers run nowhere, but everything else of them works"
NO_NETWORKS = "networks carry no packet"
NO_VOLUMES = "volumes keep no byte"
NO_SCREEN = "a guest's screen shows in no browser"
NO_GUEST = "there is no image `tiny` to try servers with"
QEMU_MODULES = "/usr/lib/x86_64-linux-gnu/qemu"
SYSTEM_PYTHON = "/usr/lib/python3/dist-packages"
ENGINES: tuple[Engine, ...] = (
    Engine("the hypervisor", "qemu-system-x86", "qemu-system-x86_64", NO_SERVERS),
    Engine("the hypervisor", "qemu-utils", "qemu-img", NO_SERVERS),
    Engine("the hypervisor", "libvirt-daemon-system", "libvirtd", NO_SERVERS),
    Engine("the hypervisor", "qemu-block-extra", f"{QEMU_MODULES}/block-iscsi.so", NO_SERVERS),
    Engine("the hypervisor", "python3-libvirt", f"{SYSTEM_PYTHON}/libvirt.py", NO_SERVERS),
    Engine("consoles", "novnc", "/usr/share/novnc/vnc.html", NO_SCREEN),
    Engine("the switch", "nftables", "nft", NO_NETWORKS),
    Engine("the switch", "iproute2", "ip", NO_NETWORKS),
    Engine("the switch", "conntrack", "conntrack", NO_NETWORKS),
    Engine("the switch", "dnsmasq-base", "dnsmasq", NO_NETWORKS),
    Engine("block storage", "tgt", "tgtd", NO_VOLUMES),
    Engine("the tiny guest", "busybox-static", "busybox", NO_GUEST),
    Engine("the tiny guest", "dropbear-bin", "dropbear", NO_GUEST),
    Engine("the tiny guest", "e2fsprogs", "mke2fs", NO_GUEST),
    Engine("the tiny guest", "extlinux", "extlinux", NO_GUEST),
)


def missing(engines: Iterable[Engine] = ENGINES) -> list[Engine]:
    """The engines that this host lacks; servers live in folders that users' PATH leaves out."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return [
        engine
        for engine in engines
        if not Path(engine.program).is_file() and shutil.which(engine.program, path=path) is None
    ]


def remedy(engines: Iterable[Engine]) -> str:
    """The one command that installs what is missing."""
    packages = dict.fromkeys(engine.package for engine in engines)
    return f"apt-get install --no-install-recommends {' '.join(packages)}"


def install(engines: Iterable[Engine] = ENGINES) -> list[Engine]:
    """Install what is missing, as far as this user may; what is missing still."""
    wanted = missing(engines)
    if wanted and os.geteuid() == 0 and shutil.which("apt-get"):
        packages = sorted({engine.package for engine in wanted})
        print(f"installing {', '.join(packages)} from Debian", file=sys.stderr)
        # The usual reason of a failure on a fresh machine is an old or empty list of packages.
        if not _apt("install", "--no-install-recommends", *packages):
            _apt("update")
            _apt("install", "--no-install-recommends", *packages)
    return missing(wanted)


def main(engines: Iterable[Engine] = ENGINES) -> None:
    """Install the engines; say what is simulated for want of them."""
    absent = install(engines)
    for name, why in {engine.name: engine.why for engine in absent}.items():
        print(f"{name} is simulated: {why}", file=sys.stderr)
    if absent:
        print(f"for the real ones, as root: {remedy(absent)}", file=sys.stderr)


def _apt(verb: str, *arguments: str) -> bool:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["apt-get", "-y", "-qq", verb, *arguments],
            env=quiet, stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_S,
            check=False,
        )  # fmt: skip
        return done.returncode == 0
    return False


if __name__ == "__main__":
    main()
