"""The files on a server's config drive: what the metadata service says, for guests without it."""

import base64
from collections.abc import Sequence

import msgspec
from sqlalchemy.orm import Session

from onestack.compute.servers import guest_metadata
from onestack.compute.servers.networking import NicOfServer
from onestack.compute.servers.record import BlockDeviceRecord, ServerRecord
from onestack.core.context import Cloud
from onestack.core.seal import Seal


class Secrets(msgspec.Struct, frozen=True):
    """What a guest is told once, and nobody remembers."""

    password: str = ""
    files: dict[str, str] = {}  # by path: the content, base64

    def sealed(self, cloud: Cloud) -> str:
        """What a flow may remember of them in its row."""
        return _seal(cloud).close(msgspec.json.encode(self)) if self != Secrets() else ""

    @classmethod
    def opened(cls, cloud: Cloud, sealed: str) -> "Secrets":
        return msgspec.json.decode(_seal(cloud).open(sealed), type=cls) if sealed else cls()


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


def _seal(cloud: Cloud) -> Seal:
    return cloud.get(Seal).derive("secrets of guests")


def _json(value: object) -> str:
    return base64.b64encode(msgspec.json.encode(value)).decode()
