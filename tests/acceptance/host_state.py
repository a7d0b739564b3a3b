"""What a host has at one moment, so that it can be told what a cloud left behind."""

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("/run", "/tmp", "/var/lib", "/var/run/netns", "/etc/libvirt", "/var/cache/libvirt")
DEPTH = 2


@dataclass(frozen=True)
class HostState:
    """Names of all that a cloud may make on a host, by kind."""

    kinds: dict[str, frozenset[str]]

    def left_since(self, before: "HostState") -> list[str]:
        """What is here now, and was not before."""
        return [
            f"{kind}: {name}"
            for kind, names in self.kinds.items()
            for name in sorted(names - before.kinds[kind])
        ]


def look(ignored: Iterable[Path] = ()) -> HostState:
    """The host as it is now; what lies in ignored folders does not count."""
    spared = tuple(str(each) for each in ignored)
    return HostState(
        {
            "process": frozenset(_processes()),
            "network namespace": frozenset(_words("ip", "netns", "list")),
            "device": frozenset(_devices()),
            "rules": frozenset(_tables()),
            "mount": frozenset(_mounts()),
            "file": frozenset(each for each in _files() if not each.startswith(spared or ("\0",))),
        }
    )


def _processes() -> Iterable[str]:
    """Processes by number and command; this script and its children do not count."""
    own = os.getpid()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if command and own not in (int(folder.name), parent):
            yield f"{folder.name} {command[:200]}"


def _words(*command: str) -> Iterable[str]:
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line.split()[0] for line in said.splitlines() if line.strip()]


def _devices() -> Iterable[str]:
    said = subprocess.run(["ip", "-j", "link"], capture_output=True, text=True, check=False).stdout
    return [each["ifname"] for each in json.loads(said or "[]")]


def _tables() -> Iterable[str]:
    said = subprocess.run(
        ["nft", "-j", "list", "tables"], capture_output=True, text=True, check=False
    ).stdout
    found = json.loads(said or "{}").get("nftables", [])
    return [f"{each['table']['family']} {each['table']['name']}" for each in found
            if "table" in each]  # fmt: skip


def _mounts() -> Iterable[str]:
    return [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]


def _files() -> Iterable[str]:
    for top in FOLDERS:
        root = Path(top).resolve()
        for folder, folders, names in os.walk(root):
            depth = len(Path(folder).relative_to(root).parts)
            yield from (os.path.join(folder, name) for name in (*names, *folders))
            if depth >= DEPTH:
                folders.clear()
