"""Networks, subnets and routers that tests need around what they are about."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.cloud import Local
from tests.network import actors
from tests.network.actors import Actor

_numbers = count(1)


@dataclass
class Outside:
    """An external network with addresses to give away."""

    network: Any
    subnet: Any


def outside(local: Local, size: int = 24) -> Outside:
    """A new external network, which everybody sees."""
    admin = actors.admin(local)
    number = next(_numbers)
    network = admin.make("network", name=f"outside-{number}", **{"router:external": True})
    cidr = f"198.{18 + number // 256}.{number % 256}.0/{size}"
    subnet = admin.make(
        "subnet", network_id=network["id"], cidr=cidr, ip_version=4, enable_dhcp=False
    )
    return Outside(network, subnet)


def inside(owner: Actor, cidr: str = "10.0.0.0/24", **more: Any) -> Any:
    """A new subnet on a network of its own."""
    network = owner.make("network", name="inside")
    version = 6 if ":" in cidr else 4
    return owner.make("subnet", network_id=network["id"], cidr=cidr, ip_version=version, **more)


def router(owner: Actor, *subnets: Any, out: Outside | None = None, **more: Any) -> Any:
    """A new router on these subnets."""
    if out is not None:
        more["external_gateway_info"] = {"network_id": out.network["id"]}
    made = owner.make("router", name="router", **more)
    for each in subnets:
        connect(owner, made, subnet_id=each["id"])
    return owner.show("router", made)


def connect(owner: Actor, made: Any, status: int = 200, **what: str) -> Any:
    return owner.put(f"/routers/{made['id']}/add_router_interface", what, status)


def disconnect(owner: Actor, made: Any, status: int = 200, **what: str) -> Any:
    return owner.put(f"/routers/{made['id']}/remove_router_interface", what, status)


def error_of(answer: Any) -> str:
    return str(answer["NeutronError"]["type"])
