"""What lies on the tiny guest's root disk and in its initial file system."""

import lzma
import re
import shutil
from pathlib import Path

from onestack.core import shell

USER = "onestack"
FILES = Path(__file__).parent / "files"
PROGRAM_S = 20

# Kernel modules in the order of their loading: virtio_ring must come before virtio.
VIRTIO_MODULES = (
    "virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
    "virtio_blk",
)  # fmt: skip
SCSI_MODULES = ("scsi_common", "scsi_mod", "sd_mod", "virtio_scsi")
NETWORK_MODULES = ("failover", "net_failover", "virtio_net", "virtio-rng")
FAT_MODULES = ("fat", "vfat", "nls_cp437", "nls_ascii")
# What nothing waits for; SCSI and FAT are there for disks that are plugged in later.
OTHER_MODULES = ("button", "evdev", "virtio_console", *SCSI_MODULES, *FAT_MODULES)
DRIVE_MODULES = ("libata", "ata_piix", "cdrom", "sr_mod", "isofs", *FAT_MODULES)
INITRD_APPLETS = ("sh", "mount", "umount", "insmod", "usleep", "switch_root")
FOLDERS = (
    "bin", "sbin", "usr/bin", "usr/sbin", "lib/x86_64-linux-gnu", "lib64", "etc/dropbear", "dev",
    "proc", "sys", "run", "tmp", "mnt", "media", "var/log", "var/lib/cloud", "root/.ssh",
    f"home/{USER}/.ssh",
)  # fmt: skip
PROGRAMS = ("dropbear", "dropbearkey", "resize2fs", "mke2fs", "blkid")
SYSTEM_APPLETS = (
    "init", "getty", "halt", "poweroff", "reboot", "mdev", "udhcpc", "insmod", "ifconfig", "ip",
    "route", "switch_root",
)  # fmt: skip
TEXTS = {
    "etc/passwd": f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:0:0:{USER}:/home/{USER}:/bin/sh\n",
    "etc/shadow": f"root:*:19000:0:99999:7:::\n{USER}:*:19000:0:99999:7:::\n",
    "etc/group": "root:x:0:\n",
    "etc/shells": "/bin/sh\n",
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/services": "http 80/tcp\nhttps 443/tcp\nssh 22/tcp\ndomain 53/udp\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n",
    "etc/profile": "export PATH=/sbin:/usr/sbin:/bin:/usr/bin\n",
    "etc/issue": "onestack's tiny guest \\l\n\n",
    "etc/cloud": f"GUEST_USER={USER}\n",
}


def initrd_tree(root: Path, modules: Path) -> None:
    """What finds the root disk."""
    shutil.copytree(FILES / "initrd", root, dirs_exist_ok=True)
    (root / "init").chmod(0o755)
    for folder in ("bin", "dev", "proc", "sys", "newroot"):
        (root / folder).mkdir()
    shutil.copy(_program("busybox"), root / "bin/busybox")
    for applet in INITRD_APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    _put_modules(root, modules, virtio=VIRTIO_MODULES, scsi=SCSI_MODULES)


def disk_tree(root: Path, modules: Path) -> None:
    """The whole guest."""
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copytree(FILES / "root", root, dirs_exist_ok=True)
    for pattern in ("etc/rcS", "etc/acpi/*/*", "sbin/*", "usr/sbin/*", "usr/bin/*"):
        for path in root.glob(pattern):
            path.chmod(0o755)
    for name, text in TEXTS.items():
        (root / name).write_text(text)
    (root / "etc/shadow").chmod(0o600)
    (root / "tmp").chmod(0o1777)
    for home in (root / "root", root / "home" / USER):
        home.chmod(0o700)
        (home / ".ssh").chmod(0o700)
    (root / "var/run").symlink_to("../run")
    _put_programs(root)
    _put_modules(
        root, modules, network=NETWORK_MODULES, rest=OTHER_MODULES,
        drive=DRIVE_MODULES,
    )  # fmt: skip


def _put_programs(root: Path) -> None:
    busybox = _program("busybox")
    shutil.copy(busybox, root / "bin/busybox")
    own = {path.name for folder in ("sbin", "usr/bin") for path in (root / folder).iterdir()}
    applets = shell.run([busybox, "--list"], timeout_s=PROGRAM_S).text.split()
    for applet in applets:
        if applet not in {"busybox", *PROGRAMS, *own}:
            (root / "bin" / applet).symlink_to("busybox")
    for applet in SYSTEM_APPLETS:
        (root / "sbin" / applet).symlink_to("../bin/busybox")
    for program in PROGRAMS:
        _put_program(root, _program(program))
    for kind in ("ext2", "ext3", "ext4"):
        (root / "sbin" / f"mkfs.{kind}").symlink_to("mke2fs")
    (root / "lib64/ld-linux-x86-64.so.2").symlink_to("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")


def _put_program(root: Path, program: str) -> None:
    """A program, and the libraries that it is linked with."""
    shutil.copy(program, root / "sbin")
    needed = shell.run(["ldd", program], timeout_s=PROGRAM_S).text
    for library in re.findall(r"/\S+", needed):
        target = root / "lib/x86_64-linux-gnu" / Path(library).name
        if not target.exists():
            shutil.copy(library, target)


def _put_modules(root: Path, modules: Path, **lists: tuple[str, ...]) -> None:
    """Modules, and for each occasion a list of which to load; some kernels have some built in."""
    target = root / "lib/modules/guest"
    target.mkdir(parents=True)
    for occasion, names in lists.items():
        found = [(name, path) for name in names for path in modules.rglob(f"{name}.ko*")]
        for name, path in found:
            content = path.read_bytes()
            is_packed = path.suffix == ".xz"
            (target / f"{name}.ko").write_bytes(lzma.decompress(content) if is_packed else content)
        (target / occasion).write_text("\n".join(name for name, _ in found) + "\n")


def _program(name: str) -> str:
    found = shell.find(name)
    if found is None:
        raise shell.ProgramMissing(name, f"this host has no program {name}")
    return found
