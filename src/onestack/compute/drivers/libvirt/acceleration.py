"""Whether KVM really runs guests here: not that a device opens, but that a guest ran is a proof."""

import os
import re
from contextlib import suppress
from pathlib import Path

import msgspec

from onestack.core import log, shell

QEMU = "qemu-system-x86_64"
DEVICE = Path("/dev/kvm")
# This kernel's KVM emulates ordinary guests one instruction at a time, until one is unknown to it.
HOPELESS = Path("/sys/module/kvm_pvm")
PROBE_S, LOOK_S = 20, 10
MARK = "GUEST-RAN"


class Parts(msgspec.Struct, frozen=True):
    """The kernel and initial file system (with busybox in it) of a guest to try."""

    kernel: Path
    initrd: Path


class _Remembered(msgspec.Struct):
    """What was found out, and about what."""

    kernel: str
    qemu: str
    is_kvm: bool


def qemu_version() -> str:
    said = shell.run([QEMU, "--version"], timeout_s=LOOK_S).text
    found = re.search(r"version (\d+\.\d+\.\d+)", said)
    return found[1] if found else "0.0.0"


def has_kvm(remembered: Path, parts: Parts | None) -> bool:
    """Whether a guest has run under KVM with this kernel and this QEMU; tried once for each."""
    if HOPELESS.exists() or parts is None or not os.access(DEVICE, os.R_OK | os.W_OK):
        return False
    kernel, qemu = os.uname().release, qemu_version()
    with suppress(FileNotFoundError, msgspec.MsgspecError):
        known = msgspec.json.decode(remembered.read_bytes(), type=_Remembered)
        if (known.kernel, known.qemu) == (kernel, qemu):
            return known.is_kvm
    is_kvm = runs_under("kvm", parts)
    remembered.write_bytes(msgspec.json.encode(_Remembered(kernel, qemu, is_kvm)))
    log.info("tried a guest under KVM", ran=is_kvm)
    return is_kvm


def runs_under(accelerator: str, parts: Parts, patience_s: float = PROBE_S) -> bool:
    """Boot a guest that says one word and ends."""
    command = [
        QEMU, "-M", "pc", "-accel", accelerator, "-cpu", "max", "-m", "128", "-nodefaults",
        "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
        "-kernel", str(parts.kernel), "-initrd", str(parts.initrd),
        "-append", f"console=ttyS0 quiet panic=-1 rdinit=/bin/busybox -- echo {MARK}",
    ]  # fmt: skip
    try:
        said = shell.run(command, timeout_s=patience_s).text
    except shell.CommandFailed:
        return False
    return any(line.strip() == MARK for line in said.splitlines())
