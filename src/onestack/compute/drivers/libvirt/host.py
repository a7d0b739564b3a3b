"""What a host has to offer, read from the machine."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from onestack.compute.drivers.libvirt.acceleration import qemu_version
from onestack.compute.drivers.libvirt.domain import MACHINES
from onestack.compute.hypervisor import HostDescription

GB = 1 << 30
TRAITS = [
    "COMPUTE_IMAGE_TYPE_AKI", "COMPUTE_IMAGE_TYPE_AMI", "COMPUTE_IMAGE_TYPE_ARI",
    "COMPUTE_IMAGE_TYPE_ISO", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_IMAGE_TYPE_VDI", "COMPUTE_IMAGE_TYPE_VHD", "COMPUTE_IMAGE_TYPE_VHDX",
    "COMPUTE_IMAGE_TYPE_VMDK", "COMPUTE_MIGRATE_AUTO_CONVERGE", "COMPUTE_NET_ATTACH_INTERFACE",
    "COMPUTE_NODE", "COMPUTE_RESCUE_BFV", "COMPUTE_VOLUME_ATTACH", "COMPUTE_GRAPHICS_MODEL_VGA",
    "COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_NET_VIF_MODEL_E1000", "COMPUTE_STORAGE_BUS_VIRTIO",
    "COMPUTE_STORAGE_BUS_SCSI", "COMPUTE_STORAGE_BUS_SATA", "COMPUTE_STORAGE_BUS_IDE",
]  # fmt: skip


def describe(folder: Path, address: str, initiator: str) -> HostDescription:
    """The whole machine; how much of it servers get is for the control plane to say."""
    major, minor, micro = (int(part) for part in qemu_version().split("."))
    return HostDescription(
        driver="libvirt",
        hypervisor_type="QEMU",
        hypervisor_version=major * 1_000_000 + minor * 1000 + micro,
        vcpus=os.cpu_count() or 1,
        memory_mb=_memory_mb(),
        disk_gb=shutil.disk_usage(folder).total // GB,
        address=address,
        machines=list(MACHINES),
        traits=sorted(TRAITS),
        cpu_info=_processor(),
        initiator=initiator,
    )


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def _processor() -> dict[str, Any]:
    said = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", said, re.MULTILINE)
    vendor = re.search(r"^vendor_id\s*: (.*)$", said, re.MULTILINE)
    flags = re.search(r"^flags\s*: (.*)$", said, re.MULTILINE)
    return {
        "arch": os.uname().machine,
        "model": model[1] if model else "",
        "vendor": vendor[1] if vendor else "",
        "topology": {"cells": 1, "sockets": 1, "cores": os.cpu_count() or 1, "threads": 1},
        "features": flags[1].split() if flags else [],
    }
