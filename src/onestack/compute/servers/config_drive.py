"""The files on a server's config drive: what the metadata service says, for guests without it."""

import base64
from collections.abc import Sequence

import msgspec
from sqlalchemy.orm import Session

from onestack.compute.servers import guest_metadata
from onestack.compute.servers.networking import NicOfServer
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord


class Secrets(msgspec.Struct, frozen=True):
    """What a guest is told once, and nobody remembers."""

    password: str = ""
    files: dict[str, str] = {}  # by path: the content, base64


def files(
    session: Session, server: ServerRecord, nics: Sequence[NicOfServer],
    disks: Sequence[BlockDeviceRecord], secrets: Secrets | None,
) -> dict[str, str]:  # fmt: skip
    """What is on the drive: the content by path, base64."""
    given = secrets or Secrets()
    known = guest_metadata.openstack(session, server, nics, disks)
    if given.password:
        known["admin_pass"] = given.password
    found: dict[str, str] = {}
    for at, (path, content) in enumerate(given.files.items()):
        name = f"content/{at:04d}"
        known.setdefault("files", []).append({"path": path, "content_path": f"/{name}"})
        found[f"openstack/{name}"] = content
    found["openstack/latest/meta_data.json"] = _json(known)
    found["openstack/latest/network_data.json"] = _json(guest_metadata.network(nics))
    found["openstack/latest/vendor_data.json"] = _json({})
    found["openstack/latest/vendor_data2.json"] = _json({})
    found["ec2/latest/meta-data.json"] = _json(guest_metadata.ec2(server, nics))
    if server.user_data:
        plain = "".join(server.user_data.split())
        found["openstack/latest/user_data"] = found["ec2/latest/user-data"] = plain
    return found


def _json(value: object) -> str:
    return base64.b64encode(msgspec.json.encode(value)).decode()
