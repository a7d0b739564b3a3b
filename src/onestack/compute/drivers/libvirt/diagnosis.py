"""What a guest has used of its host, as libvirt counts it."""

from typing import Any
from xml.etree.ElementTree import fromstring

from onestack.compute.drivers.libvirt.power import power_of
from onestack.compute.hypervisor import Counters, Diagnosis, DiskCounters, NicCounters


def of(connection: Any, domain: Any) -> Diagnosis:
    """Everything that one question to libvirt tells; little, where the guest does not run."""
    ((_, found),) = connection.domainListGetStats([domain])
    macs = {}
    for nic in fromstring(domain.XMLDesc()).iterfind("./devices/interface"):  # noqa: S314 - libvirt's
        target, mac = nic.find("target"), nic.find("mac")
        if target is not None and mac is not None:
            macs[target.get("dev", "")] = mac.get("address", "")
    return Diagnosis(
        power=power_of(domain),
        memory_kb=int(found.get("balloon.maximum", 0)),
        used_kb=_number(found, "balloon.rss"),
        cpu_times_ns=[
            int(found.get(f"vcpu.{at}.time", 0)) for at in range(found.get("vcpu.current", 0))
        ],
        nics=[_nic(found, f"net.{at}", macs) for at in range(found.get("net.count", 0))],
        disks=[_disk(found, f"block.{at}") for at in range(found.get("block.count", 0))],
    )


def _nic(found: dict[str, Any], at: str, macs: dict[str, str]) -> NicCounters:
    device = str(found.get(f"{at}.name", ""))
    rx, tx = (
        Counters(
            bytes=int(found.get(f"{at}.{way}.bytes", 0)),
            requests=int(found.get(f"{at}.{way}.pkts", 0)),
            errors=int(found.get(f"{at}.{way}.errs", 0)),
            drops=int(found.get(f"{at}.{way}.drop", 0)),
        )
        for way in ("rx", "tx")
    )
    return NicCounters(device, macs.get(device, ""), rx, tx)


def _disk(found: dict[str, Any], at: str) -> DiskCounters:
    read, written = (
        Counters(
            bytes=int(found.get(f"{at}.{way}.bytes", 0)),
            requests=int(found.get(f"{at}.{way}.reqs", 0)),
        )
        for way in ("rd", "wr")
    )
    return DiskCounters(str(found.get(f"{at}.name", "")), read, written)


def _number(found: dict[str, Any], name: str) -> int | None:
    return int(found[name]) if name in found else None
