"""Build the tiny guest from Debian's packages; what was built from the same parts is kept."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from onestack.cli.guest import archive
from onestack.cli.guest.tree import FILES, USER, disk_tree, initrd_tree
from onestack.core import clock, shell

__all__ = ("CACHE", "PACKAGES", "USER", "GuestImage", "build", "provide")

CACHE = Path("/var/cache/onestack")
# What must be installed; the kernel is only fetched, never installed.
PACKAGES = ("busybox-static", "dropbear-bin", "e2fsprogs", "extlinux", "qemu-utils", "util-linux")
KERNEL_PACKAGE = "linux-image-cloud-amd64"
DISK_MB = 48
FETCH_S, STEP_S = 300, 60
# Partitionless, with room for the boot sector; without what a disk of some MB has no use for.
FILE_SYSTEM = (
    "-q", "-F", "-t", "ext4", "-L", "guestroot", "-O", "^64bit,^metadata_csum", "-J", "size=4",
    "-E", "root_owner=0:0,resize=64G", "-I", "256", "-m", "0", "-N", "4096",
)  # fmt: skip


class GuestImage(msgspec.Struct, frozen=True):
    """Where the guest's parts are; the disk also boots alone."""

    folder: Path
    user: str = USER

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.img"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.qcow2"


def build(cache: Path = CACHE) -> GuestImage:
    """Have the guest in a folder of `cache`; root is needed, and Debian's PACKAGES."""
    cache.mkdir(parents=True, exist_ok=True)
    # A newer kernel makes no better guest, and asking for one takes seconds.
    kernel = max(cache.glob("linux-image-*.deb"), default=None) or _fetched(cache)
    folder = cache / f"guest-{_fingerprint(kernel)}"
    if not folder.exists():
        work = cache / f".building-{clock.new_id()[:8]}"
        try:
            _build(work, kernel)
            (work / "out").rename(folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return GuestImage(folder)


def provide() -> str:
    """Have the guest, and tell the server that is started next where; else why there is none."""
    try:
        os.environ["ONESTACK_GUEST"] = str(build().folder)
    except (shell.CommandFailed, OSError, LookupError, StopIteration) as error:
        return str(error) or type(error).__name__
    return ""


def _build(work: Path, package: Path) -> None:
    for name in ("kernel", "out", "root", "initrd"):
        (work / name).mkdir(parents=True)
    shell.run(["dpkg-deb", "--extract", str(package), str(work / "kernel")], timeout_s=STEP_S)
    out = work / "out"
    vmlinuz = next((work / "kernel/boot").glob("vmlinuz-*"))
    shutil.copyfile(vmlinuz, out / "vmlinuz")
    modules = next((work / "kernel/lib/modules").iterdir())
    initrd_tree(work / "initrd", modules)
    (out / "initrd.img").write_bytes(archive.newc(work / "initrd"))
    disk_tree(work / "root", modules)
    _disk(work / "root", out, work)


def _disk(root: Path, out: Path, work: Path) -> None:
    """An ext4 that boots by itself, and serves as the root disk of a kernel from elsewhere."""
    raw = work / "disk.raw"
    with raw.open("xb") as file:
        file.truncate(DISK_MB << 20)
    shell.run(["mke2fs", *FILE_SYSTEM, "-d", str(root), str(raw)], timeout_s=STEP_S)
    with _mounted(raw, work / "mount") as mount:
        # extlinux cannot read files with holes, which mke2fs makes of runs of zeros.
        for name in ("vmlinuz", "initrd.img"):
            (mount / "boot" / name).write_bytes((out / name).read_bytes())
        shell.run(["extlinux", "--install", str(mount / "boot/extlinux")], timeout_s=STEP_S)
    disk = str(out / "disk.qcow2")
    convert = ["qemu-img", "convert", "-q", "-c", "-f", "raw", "-O", "qcow2", str(raw), disk]
    shell.run(convert, timeout_s=STEP_S)


@contextmanager
def _mounted(raw: Path, at: Path) -> Iterator[Path]:
    at.mkdir()
    said = shell.run(["losetup", "--find", "--show", str(raw)], timeout_s=STEP_S)
    device = said.text.strip()
    try:
        shell.run(["mount", "-t", "ext4", device, str(at)], timeout_s=STEP_S)
        try:
            yield at
        finally:
            shell.run(["umount", str(at)], timeout_s=STEP_S)
    finally:
        shell.run(["losetup", "--detach", device], timeout_s=STEP_S)


def _fetched(cache: Path) -> Path:
    """The package with Debian's newest kernel for clouds."""
    package = _kernel_package()
    if package is None:
        shell.run(["apt-get", "-qq", "update"], timeout_s=FETCH_S)
        package = _kernel_package()
    if package is None:
        raise LookupError(f"Debian's lists of packages have no {KERNEL_PACKAGE}")
    # apt-get downloads into the folder that it is in, and as another user unless told so.
    words = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package]
    shell.run(["env", f"--chdir={cache}", *words], timeout_s=FETCH_S)
    return next(cache.glob(f"{package}_*.deb"))


def _kernel_package() -> str | None:
    """Its name, such as linux-image-6.1.0-40-cloud-amd64; on a fresh machine there may be none."""
    asked = shell.run(["apt-cache", "depends", KERNEL_PACKAGE], timeout_s=STEP_S, ok_codes=(0, 100))
    lines = [line for line in asked.text.splitlines() if "Depends: linux-image-" in line]
    return shell.value(lines[0].split()[-1]) if lines else None


def _fingerprint(kernel: Path) -> str:
    """What the guest is made of: the kernel, the installed packages, and our own files."""
    said = hashlib.sha256(kernel.name.encode())
    query = ["dpkg-query", "--show", *PACKAGES[:3]]
    said.update(shell.run(query, timeout_s=STEP_S).stdout)
    own = Path(__file__).parent
    for path in sorted([*own.glob("*.py"), *FILES.rglob("*")]):
        if path.is_file():
            said.update(str(path.relative_to(own)).encode() + path.read_bytes())
    return said.hexdigest()[:16]
