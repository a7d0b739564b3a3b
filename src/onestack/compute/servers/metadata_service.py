"""The metadata service at 169.254.169.254, as hosts ask it on behalf of their guests.

A host says which server asks, and vouches for that with a secret that guests do not have: what a
guest itself says of who it is never gets here.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from onestack.compute.servers import guest_metadata
from onestack.compute.servers.networking import nics_of
from onestack.compute.servers.record import ServerRecord, disks_of
from onestack.core.api import PUBLIC, Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.seal import Seal

api = Operations("metadata of guests")

PASSWORD_BYTES_MAX = 4 * 255
PURPOSE = "metadata"  # what the secret that hosts share is derived for
OF_EC2 = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01",
    "2008-09-01", "2009-04-04", "latest",
)  # fmt: skip
OF_OPENSTACK = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06",
    "2017-02-22", "2018-08-27", "2020-10-14", "latest",
)  # fmt: skip


class NobodyVouches(Forbidden):
    message = "Invalid proxy request signature."


class BadPassword(BadRequest):
    message = "Request is too long, or is no text."


class PasswordKept(Conflict):
    message = "There was a conflict when trying to complete your request."


class NothingHere(NotFound):
    message = "There is no such metadata."


@api.get("/metadata", PUBLIC)
def versions(ctx: Context) -> Raw:
    """List the versions of EC2's metadata."""
    _asker(ctx)
    return _text("\n".join(OF_EC2))


@api.get("/metadata/{path*}", PUBLIC)
def show(ctx: Context, path: str) -> Raw:
    """Tell a guest of itself."""
    server = _asker(ctx)
    nics = nics_of(ctx.session, [server.id]).get(server.id, ())
    parts = [part for part in path.split("/") if part]
    if not parts:
        return _text("\n".join(OF_EC2))
    if parts[0] == "openstack":
        return _of_openstack(ctx, server, nics, parts[1:])
    if parts[0] not in OF_EC2:
        raise NothingHere
    return _of_ec2(server, nics, parts[1:])


@api.post("/metadata/{path*}", PUBLIC, content_types=("*/*",))
def leave(ctx: Context, path: str) -> Raw:
    """Take the password that a guest encrypted for its owner; once, until that one is cleared."""
    server = _asker(ctx)
    parts = [part for part in path.split("/") if part]
    if len(parts) != 3 or parts[0] != "openstack" or parts[2] != "password":
        raise NothingHere
    said = ctx.request.body
    if not said.isascii() or len(said) > PASSWORD_BYTES_MAX:
        raise BadPassword
    if server.guest_password:
        raise PasswordKept
    server.guest_password = said.decode()
    return _text("")


def _asker(ctx: Context) -> ServerRecord:
    """The server whose guest asks, if a host of ours says so."""
    headers = ctx.request.headers
    server_id = headers.get("x-instance-id", "")
    secret = ctx.cloud.get(Seal).derive(PURPOSE).key.hex().encode()
    right = hmac.new(secret, server_id.encode(), sha256).hexdigest()
    given = headers.get("x-instance-id-signature", "")
    if not hmac.compare_digest(right.encode(), given.encode("utf-8", "replace")):
        raise NobodyVouches
    server = ctx.session.get(ServerRecord, server_id)
    if server is None or server.project_id != headers.get("x-tenant-id"):
        raise NothingHere
    return server


def _of_openstack(ctx: Context, server: ServerRecord, nics: Any, parts: list[str]) -> Raw:
    if not parts:
        return _text("\n".join(OF_OPENSTACK))
    if parts[0] not in OF_OPENSTACK:
        raise NothingHere
    said = guest_metadata.user_data(server)
    if len(parts) == 1:
        names = ["meta_data.json", "network_data.json", "vendor_data.json", "vendor_data2.json",
                 "password"]  # fmt: skip
        return _text("\n".join([*names, *(["user_data"] if said is not None else [])]))
    match parts[1:]:
        case ["meta_data.json"]:
            disks = disks_of(ctx.session, server.id)
            return _json(guest_metadata.openstack(ctx.session, server, nics, disks))
        case ["network_data.json"]:
            return _json(guest_metadata.network(nics))
        case ["vendor_data.json" | "vendor_data2.json"]:
            return _json({})
        case ["password"]:
            return _text(server.guest_password or "")
        case ["user_data"] if said is not None:
            return Raw(said, "application/octet-stream")
    raise NothingHere


def _of_ec2(server: ServerRecord, nics: Any, parts: list[str]) -> Raw:
    said = guest_metadata.user_data(server)
    if not parts:
        return _text("\n".join(["meta-data/", *(["user-data"] if said is not None else [])]))
    if parts == ["user-data"] and said is not None:
        return Raw(said, "application/octet-stream")
    if parts[0] != "meta-data":
        raise NothingHere
    found: Any = guest_metadata.ec2(server, nics)
    for part in parts[1:]:
        if not isinstance(found, Mapping) or part not in found:
            raise NothingHere
        found = found[part]
    if not isinstance(found, Mapping):
        return _text(str(found))
    if parts[1:] == ["public-keys"]:
        return _text(f"0={server.key_name}")
    return _text(
        "\n".join(f"{key}/" if isinstance(each, Mapping) else key for key, each in found.items())
    )


def _text(text: str) -> Raw:
    return Raw(text.encode(), "text/plain; charset=UTF-8")


def _json(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
