"""The programs of the servers, installed from Debian's packages when they are missing.

`python -m tests.servers.install` fetches all of them ahead of a test run.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

PACKAGES = {
    "initdb": "postgresql",
    "postgres": "postgresql",
    "rabbitmq-server": "rabbitmq-server",
    "epmd": "rabbitmq-server",
    "slapd": "slapd",
    "slapadd": "slapd",
    "ldapsearch": "ldap-utils",
    "qemu-img": "qemu-utils",
    "isoinfo": "genisoimage",
}
FOLDERS = ("/usr/sbin", "/usr/lib/postgresql/*/bin", "/usr/lib/rabbitmq/bin")
INSTALL_S = 600
POLICY = Path("/usr/sbin/policy-rc.d")


class ServerMissing(RuntimeError):
    """A server cannot be had here; the text says which package would bring it."""


def program(name: str) -> Path:
    """Where a server's program is; its package is installed first when that can be done."""
    path = find(name)
    if path is None:
        install([PACKAGES[name]])
        path = find(name)
    if path is None:
        raise ServerMissing(f"{name} is still missing after installing {PACKAGES[name]}")
    return path


def find(name: str) -> Path | None:
    """Where a program is, in PATH or in the folders where Debian keeps servers."""
    found = shutil.which(name)
    if found:
        return Path(found)
    for folder in FOLDERS:
        # The newest version comes last: /usr/lib/postgresql/15 before /usr/lib/postgresql/17.
        for path in sorted(Path("/").glob(f"{folder[1:]}/{name}"), reverse=True):
            if os.access(path, os.X_OK):
                return path
    return None


def install(packages: list[str]) -> None:
    """Install packages without any question, and without starting what they contain."""
    wanted = " ".join(packages)
    remedy = f"install it with: apt-get install --no-install-recommends {wanted}"
    if shutil.which("apt-get") is None:
        raise ServerMissing(f"{wanted}: this system has no apt-get; {remedy}")
    if os.geteuid() != 0:
        raise ServerMissing(f"{wanted} is not installed, and only root may do so; {remedy}")
    with _nothing_starts():
        result = _apt("install", "--no-install-recommends", *packages)
        if result.returncode != 0:
            # The usual reason on a fresh machine: the lists of packages are old or empty.
            _apt("update")
            result = _apt("install", "--no-install-recommends", *packages)
    if result.returncode != 0:
        reason = "\n".join((result.stdout + result.stderr).strip().splitlines()[-5:])
        raise ServerMissing(f"{wanted} could not be installed:\n{reason}\n{remedy}")


def _apt(verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["apt-get", "-y", "-q", "-o", "DPkg::Lock::Timeout=300", verb, *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=INSTALL_S, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def _nothing_starts() -> Iterator[None]:
    """Debian's own way to keep a package from starting its service: a policy that says no."""
    before = POLICY.read_bytes() if POLICY.exists() else None
    mode = POLICY.stat().st_mode & 0o777 if before is not None else 0
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if before is None:
            POLICY.unlink(missing_ok=True)
        else:
            POLICY.write_bytes(before)
            POLICY.chmod(mode)


def main() -> None:
    """Install what is missing for every server."""
    missing = sorted({package for name, package in PACKAGES.items() if find(name) is None})
    if missing:
        install(missing)


if __name__ == "__main__":
    main()
