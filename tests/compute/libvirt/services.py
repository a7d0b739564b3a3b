"""What is around a host in tests: a web server, iSCSI volumes, a network with DHCP and metadata."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.compute.libvirt.hosts import ROOT, Host, command, until

USER, PASSWORD = "onestack", "correct-horse-1"


@contextmanager
def running(host: Host, *words: str) -> Iterator[None]:
    """A program in the host's network for as long as the block."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        host.inside(*words), cwd=ROOT, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def answers(host: Host, port: int) -> bool:
    return f":{port} " in host.run("ss", "-Hltn")


@contextmanager
def web(host: Host, address: str, port: int) -> Iterator[Path]:
    """A web server; the folder that it gives from and puts to."""
    folder = Path(tempfile.mkdtemp(prefix="lvt-web-", dir="/tmp"))
    words = (sys.executable, "-m", "tests.compute.libvirt.web", str(folder), address, str(port))
    try:
        with running(host, *words):
            until(lambda: answers(host, port), 60, "the web server answers")
            yield folder
    finally:
        shutil.rmtree(folder)


class Storage:
    """A tgtd on the host, with one volume."""

    def __init__(self, host: Host) -> None:
        self.host, self.number = host, os.getpid() % 30000
        self.folder = Path(tempfile.mkdtemp(prefix="lvt-iscsi-", dir="/tmp"))
        self.volume = self.folder / "volume.raw"
        with self.volume.open("wb") as file:
            file.truncate(64 << 20)

    @property
    def connection(self) -> dict[str, Any]:
        return {
            "driver_volume_type": "iscsi",
            "data": {
                "target_portal": f"{self.host.address}:3260",
                "target_iqn": "iqn.2026-11.org.test:volume-1",
                "target_lun": 1,
                "auth_method": "CHAP",
                "auth_username": USER,
                "auth_password": PASSWORD,
            },
        }

    def order(self, *words: str) -> str:
        return self.host.run("tgtadm", "-C", str(self.number), "--lld", "iscsi", *words)

    def export(self) -> None:
        target = ("--mode", "target", "--tid", "1")
        self.order("--op", "new", *target, "-T", "iqn.2026-11.org.test:volume-1")
        self.order(
            "--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1",
            "-b", str(self.volume),
        )  # fmt: skip
        account = ("--mode", "account", "--user", USER)
        self.order("--op", "new", *account, "--password", PASSWORD)
        self.order("--op", "bind", *account, "--tid", "1")
        self.order("--op", "bind", *target, "-I", "ALL")

    def grow(self, size_gb: int) -> None:
        """Make the volume larger while it is in use, as its backend does."""
        os.truncate(self.volume, size_gb << 30)
        steps = f"online=0,path={self.volume},online=1"
        self.order("--op", "update", "--mode", "logicalunit", "--tid", "1", "--lun", "1",
                   "--params", steps)  # fmt: skip

    def is_in_use(self) -> bool:
        """Whether somebody is logged in."""
        return "Connection:" in self.order("--op", "show", "--mode", "conn", "--tid", "1")


@contextmanager
def storage(host: Host) -> Iterator[Storage]:
    """Volumes that are reached by iSCSI with a password."""
    one = Storage(host)
    portal = ("--iscsi", f"portal={host.address}:3260")
    try:
        with running(host, "tgtd", "-f", "-C", str(one.number), *portal):
            until(lambda: answers(host, 3260), 60, "tgtd answers")
            one.export()
            yield one
    finally:
        shutil.rmtree(one.folder)


@contextmanager
def network(host: Host, taps: list[str], key: str) -> Iterator[None]:
    """A bridge with taps, DHCP and metadata, as the host's switch makes them."""
    host.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0")
    for address in ("10.214.0.1/24", "169.254.169.254/32"):
        host.run("ip", "address", "add", address, "dev", "br0")
    host.run("ip", "link", "set", "br0", "up")
    for tap in taps:
        host.run("ip", "tuntap", "add", "dev", tap, "mode", "tap")
        host.run("ip", "link", "set", tap, "master", "br0", "up")
    leases = Path(tempfile.mkdtemp(prefix="lvt-dhcp-", dir="/tmp"))
    dhcp = (
        "dnsmasq", "--keep-in-foreground", "--conf-file=", "--port=0", "--interface=br0",
        "--bind-interfaces", "--user=root", "--dhcp-range=10.214.0.10,10.214.0.99,600",
        "--dhcp-option=option:classless-static-route,169.254.169.254/32,10.214.0.1,0.0.0.0/0,10.214.0.1",
        "--dhcp-option=26,1450", f"--dhcp-leasefile={leases}/leases", "--no-ping",
    )  # fmt: skip
    said = {"uuid": "00000000-0000-4000-8000-00000000feed", "hostname": "net.novalocal"}
    try:
        with running(host, *dhcp), web(host, "169.254.169.254", 80) as folder:
            metadata = folder / "openstack_latest_meta_data.json"
            metadata.write_text(json.dumps({**said, "public_keys": {"mine": key}}))
            yield
    finally:
        shutil.rmtree(leases)
        for device in ("br0", *taps):
            host.run("ip", "link", "delete", device)


def ssh(host: Host, key: Path, address: str, script: str) -> str:
    """What a command in the guest says."""
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ConnectTimeout=5"]
    words = ["ssh", "-q", "-i", str(key), *(f"-o{each}" for each in options)]
    return command(*host.inside(*words, f"onestack@{address}", script))
