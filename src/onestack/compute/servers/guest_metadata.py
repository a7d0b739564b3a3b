"""What a guest may learn of itself, in the words of OpenStack and of EC2."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from onestack.compute.servers.networking import NicOfServer
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord, interfaces_of


def openstack(
    session: Session, server: ServerRecord, nics: Sequence[NicOfServer],
    disks: Sequence[BlockDeviceRecord],
) -> dict[str, Any]:  # fmt: skip
    """The content of `meta_data.json`."""
    known: dict[str, Any] = {
        "uuid": server.id,
        "name": server.name,
        "hostname": server.hostname,
        "availability_zone": server.availability_zone or "nova",
        "launch_index": server.launch_index,
        "project_id": server.project_id,
        "meta": dict(server.metadata_items),
        "devices": _devices(session, server, nics, disks),
        "dedicated_cpus": [],
    }
    if server.public_key:
        kind = "x509" if server.public_key.startswith("-----BEGIN") else "ssh"
        named = str(server.key_name)
        known["public_keys"] = {named: server.public_key}
        known["keys"] = [{"name": named, "type": kind, "data": server.public_key}]
    return known


def network(nics: Sequence[NicOfServer]) -> dict[str, Any]:
    """The content of `network_data.json`: guests get their addresses by DHCP."""
    links, networks = [], []
    for at, nic in enumerate(nics):
        links.append({
            "id": nic.device, "vif_id": nic.port_id, "type": "bridge", "mtu": nic.mtu,
            "ethernet_mac_address": nic.mac,
        })  # fmt: skip
        versions = sorted({6 if ":" in each else 4 for each in nic.fixed_ips})
        networks += [
            {
                "id": f"network{at}" if version == 4 else f"network{at}v6", "link": nic.device,
                "type": f"ipv{version}_dhcp", "network_id": nic.network_id,
            }
            for version in versions
        ]  # fmt: skip
    return {"links": links, "networks": networks, "services": []}


def ec2(server: ServerRecord, nics: Sequence[NicOfServer]) -> dict[str, Any]:
    """What EC2's metadata says, as a tree."""
    fixed = [each for nic in nics for each in nic.fixed_ips if ":" not in each]
    floating = [each for nic in nics for each in nic.floating_ips if ":" not in each]
    known: dict[str, Any] = {
        "ami-id": f"ami-{server.number:08x}",
        "ami-launch-index": str(server.launch_index),
        "ami-manifest-path": "",
        "block-device-mapping": {"ami": "vda", "root": server.root_device_name or "/dev/vda"},
        "hostname": server.hostname,
        "instance-action": "none",
        "instance-id": f"i-{server.number:08x}",
        "instance-type": server.flavor_name,
        "local-hostname": server.hostname,
        "local-ipv4": fixed[0] if fixed else "",
        "placement": {"availability-zone": server.availability_zone or "nova"},
        "public-hostname": server.hostname,
        "public-ipv4": floating[0] if floating else "",
        "reservation-id": server.reservation_id,
        "security-groups": "\n".join(
            dict.fromkeys(name for nic in nics for name in nic.security_groups)
        ),
    }
    if server.public_key:
        known["public-keys"] = {"0": {"openssh-key": server.public_key}}
    return known


def user_data(server: ServerRecord) -> bytes | None:
    """What the server's creator wants it to be told, as it was before it was encoded."""
    return base64.b64decode("".join(server.user_data.split())) if server.user_data else None


def _devices(
    session: Session, server: ServerRecord, nics: Sequence[NicOfServer],
    disks: Sequence[BlockDeviceRecord],
) -> list[dict[str, Any]]:  # fmt: skip
    """The cards and disks that somebody tagged, so that the guest can tell them apart."""
    found: list[dict[str, Any]] = []
    tags: Mapping[str, str | None] = {}
    if nics:
        tags = {row.port_id: row.tag for row in interfaces_of(session, server.id)}
    for nic in nics:
        if tags.get(nic.port_id):
            found.append({"type": "nic", "bus": "none", "address": "none", "mac": nic.mac,
                          "tags": [tags[nic.port_id]]})  # fmt: skip
    for disk in disks:
        if disk.tag:
            found.append({"type": "disk", "bus": "none", "address": "none",
                          "serial": disk.volume_id or "", "path": disk.device_name,
                          "tags": [disk.tag]})  # fmt: skip
    return found
