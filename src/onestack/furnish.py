"""Furnishing: what a new cloud has besides its services, made once, through its own API.

What an operator deletes afterwards stays deleted: each piece is noted in the data folder.
"""

import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from onestack.core import log
from onestack.core.inside import Application, Inside, Refused

NETWORK = "/network/v2.0"
IMAGE = "/image/v2"
EXTERNAL = "172.24.{number}"
EXTERNAL_FIRST = 4  # the usual one; the next that is free, where other clouds are on this host
POOL_PREFIX = "10.64.0.0/16"
PRIVATE_CIDR = "10.0.0.0/24"
NAMESERVER = "9.9.9.9"
MARK = "run/furnished"  # there when this start has made what it could


class Guest(msgspec.Struct, frozen=True):
    """The tiny guest: a disk that boots, and whom one signs in as."""

    disk: Path
    user: str


class Furnisher:
    """Makes the pieces that are not noted yet."""

    def __init__(
        self, application: Application, data: Path, guest: Guest, token_of: Callable[[str], str]
    ) -> None:
        self._application, self._guest, self._token_of = application, guest, token_of
        self._noted = data / "furnished.json"
        self._mark = data / MARK
        self._admin: Inside
        self._member: Inside

    async def furnish(self) -> None:
        """Make what is missing; what cannot be made now is tried again at the next start."""
        try:
            await self._furnish()
        finally:
            self._mark.touch()

    async def _furnish(self) -> None:
        done = self._done()
        pieces: dict[str, Callable[[], Awaitable[None]]] = {
            "image tiny": self._image,
            "network public": self._public,
            "subnet pool default": self._pool,
            "network private": self._private,
        }
        missing = {name: make for name, make in pieces.items() if name not in done}
        if not missing:
            return
        try:
            self._admin = Inside(self._application, self._token_of("admin"))
            self._member = Inside(self._application, self._token_of("demo"))
            for name, make in missing.items():
                await make()
                done.append(name)
                self._noted.write_bytes(msgspec.json.encode(done))
        except (Refused, OSError, LookupError) as error:
            log.warning("the cloud could not be furnished", reason=str(error))
            return
        log.info("the cloud is furnished", pieces=done)

    def _done(self) -> list[str]:
        if not self._noted.exists():
            return []
        return msgspec.json.decode(self._noted.read_bytes(), type=list[str])

    async def _image(self) -> None:
        """An image that boots in seconds and small memory; without a guest, an empty disk."""
        if not self._guest.disk.is_file():
            await self._uploaded({"name": "tiny", "disk_format": "raw"}, bytes(1 << 20))
            return
        wanted = {
            "name": "tiny", "disk_format": "qcow2", "min_ram": 96, "min_disk": 1,
            "os_admin_user": self._guest.user,
        }  # fmt: skip
        await self._uploaded(wanted, self._guest.disk.read_bytes())

    async def _uploaded(self, wanted: Mapping[str, Any], data: bytes) -> str:
        known = await self._admin.get(f"{IMAGE}/images?name={wanted['name']}&visibility=public")
        for image in known["images"]:
            if image["status"] == "active":
                return str(image["id"])
        body = {"container_format": "bare", "visibility": "public", **wanted}
        image = await self._admin.post(f"{IMAGE}/images", body)
        await self._admin.ask("PUT", f"{IMAGE}/images/{image['id']}/file", data)
        return str(image["id"])

    async def _public(self) -> None:
        """The network that leads outside: floating addresses are from here."""
        if (await self._admin.get(f"{NETWORK}/networks?name=public"))["networks"]:
            return
        network = {
            "name": "public", "router:external": True, "is_default": True,
            "provider:network_type": "flat", "provider:physical_network": "public",
        }  # fmt: skip
        made = (await self._admin.post(f"{NETWORK}/networks", {"network": network}))["network"]
        prefix = _free_prefix()
        subnet = {
            "name": "public", "network_id": made["id"], "ip_version": 4, "enable_dhcp": False,
            "cidr": f"{prefix}.0/24", "gateway_ip": f"{prefix}.1",
        }  # fmt: skip
        await self._admin.post(f"{NETWORK}/subnets", {"subnet": subnet})

    async def _pool(self) -> None:
        """Where networks get addresses from that are made on demand."""
        if (await self._admin.get(f"{NETWORK}/subnetpools?is_default=True"))["subnetpools"]:
            return
        pool = {
            "name": "default", "shared": True, "is_default": True, "prefixes": [POOL_PREFIX],
            "default_prefixlen": 26,
        }  # fmt: skip
        await self._admin.post(f"{NETWORK}/subnetpools", {"subnetpool": pool})

    async def _private(self) -> None:
        """The demo project's own network, with a way outside."""
        if (await self._member.get(f"{NETWORK}/networks?name=private"))["networks"]:
            return
        made = await self._member.post(f"{NETWORK}/networks", {"network": {"name": "private"}})
        subnet = {
            "name": "private", "network_id": made["network"]["id"], "ip_version": 4,
            "cidr": PRIVATE_CIDR, "dns_nameservers": [NAMESERVER],
        }  # fmt: skip
        leg = (await self._member.post(f"{NETWORK}/subnets", {"subnet": subnet}))["subnet"]
        external = (await self._member.get(f"{NETWORK}/networks?router:external=True"))["networks"]
        gateway = {"network_id": external[0]["id"]}
        wanted = {"router": {"name": "private", "external_gateway_info": gateway}}
        router = (await self._member.post(f"{NETWORK}/routers", wanted))["router"]
        path = f"{NETWORK}/routers/{router['id']}/add_router_interface"
        await self._member.ask("PUT", path, {"subnet_id": leg["id"]})


def _free_prefix() -> str:
    """Three bytes of an external network whose gateway is no address of this host."""
    for number in range(EXTERNAL_FIRST, 256):
        prefix = EXTERNAL.format(number=number)
        if not _is_of_this_host(f"{prefix}.1"):
            return prefix
    return EXTERNAL.format(number=EXTERNAL_FIRST)


def _is_of_this_host(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
