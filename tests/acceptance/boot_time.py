"""From `launch` to SSH, beside the same guest under bare QEMU, in turn and in the same run.

    python tests/acceptance/boot_time.py --onestack .venv/bin/onestack --runs 3

It needs root: it makes network devices and runs virtual machines.
"""

import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from uuid import uuid4

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

from first_light import Failed, World

from startup import free_port

FACTOR_MAX = 1.5
PATIENCE_S = 120
MEMORY_MB = 128
GUESTS = Path("/var/cache/onestack")


class Metadata(BaseHTTPRequestHandler):
    """What the bare guest is told of itself: as much as a cloud would tell it."""

    def do_GET(self) -> None:
        is_known = self.path.endswith("/meta_data.json")
        content = json.dumps({"uuid": str(uuid4()), "hostname": "bare"}).encode()
        self.send_response(200 if is_known else 404)
        self.send_header("Content-Length", str(len(content) if is_known else 0))
        self.end_headers()
        if is_known:
            self.wfile.write(content)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def bare(folder: Path, metadata_port: int) -> float:
    """Seconds from the start of QEMU until the guest's SSH server greets."""
    guest = max(GUESTS.glob("guest-*"), key=lambda each: each.stat().st_mtime)
    disk = folder / "bare.qcow2"
    base = ["-f", "qcow2", "-b", str(guest / "disk.qcow2"), "-F", "qcow2"]
    subprocess.run(["qemu-img", "create", "-q", *base, str(disk), "1G"], check=True)
    port = free_port()
    command = [
        "qemu-system-x86_64", "-M", "pc", "-accel", "tcg,thread=multi", "-cpu", "qemu64",
        "-m", str(MEMORY_MB), "-nodefaults", "-no-user-config", "-display", "none",
        "-device", "VGA", "-drive", f"file={disk},format=qcow2,if=virtio",
        "-netdev", f"user,id=n0,net=169.254.0.0/16,hostfwd=tcp:127.0.0.1:{port}-:22,"
        f"guestfwd=tcp:169.254.169.254:80-cmd:busybox nc 127.0.0.1 {metadata_port}",
        "-device", "virtio-net-pci,netdev=n0,romfile=",
        "-object", "rng-random,id=r0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=r0",
        "-serial", f"file:{folder / 'serial'}",
    ]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(command)
    try:
        _wait_for_greeting(port)
        return time.monotonic() - began
    finally:
        process.kill()
        process.wait()
        disk.unlink()


def launched(world: World, name: str) -> float:
    """Seconds from `onestack launch` until it says that the guest's SSH server greets."""
    began = time.monotonic()
    facts = json.loads(world.cloud("launch", name, "-o", "json"))
    took_s = time.monotonic() - began
    print("        " + ", ".join(f"{each['step']} {each['took_s']} s" for each in facts["steps"]))
    world.client("server", "delete", name, "--wait")
    return took_s


def _wait_for_greeting(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.settimeout(1)
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    raise Failed("the guest under bare QEMU does not greet")


def main() -> int:
    """Measure in turn, and compare the medians."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--onestack", type=Path, default=Path(".venv/bin/onestack"))
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    openstack = Path(shutil.which("openstack") or arguments.onestack.with_name("openstack"))
    ours, theirs = [], []
    metadata = ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    Thread(target=metadata.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="boot-time-") as name:
        folder = Path(name)
        world = World(arguments.onestack.absolute(), openstack, folder)
        world.cloud("up", "--port", str(free_port()))
        try:
            for number in range(arguments.runs):
                theirs.append(bare(folder, metadata.server_address[1]))
                ours.append(launched(world, f"guest-{number}"))
                print(f"bare {theirs[-1]:.2f} s, launched {ours[-1]:.2f} s", flush=True)
        finally:
            world.cloud("down")
    factor = statistics.median(ours) / statistics.median(theirs)
    holds = factor <= FACTOR_MAX
    print(f"launch to SSH takes {factor:.2f} times as long as bare QEMU ({FACTOR_MAX} at most)")
    print(f"\n{int(holds)} passed, {int(not holds)} failed")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
