"""Floating addresses, for clients of versions before 2.36 who ask the compute service for them."""

from typing import Any

from onestack import network
from onestack.compute import rules
from onestack.compute.proxy import ask
from onestack.core.api import Operations, Page
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.core.shapes import Shape

api = Operations("floating addresses")

UNTIL = "2.35"
PATH = "/v2.0/floatingips"


class PoolNotFound(NotFound):
    message = "Floating IP pool not found."


class NoneLeft(NotFound):
    message = "No more floating IPs in pool {pool}."


class CreateBody(Shape):
    """The external network that an address is wanted of: its name or id, or any."""

    pool: str | None = None


class PoolView(Shape):
    """An external network."""

    name: str


class FloatingIpView(Shape):
    """An address, and where it leads."""

    id: str
    ip: str
    pool: str | None
    fixed_ip: str | None
    instance_id: str | None


class Made(Shape):
    """An address that was made."""

    floating_ip: FloatingIpView


@api.get(
    "/v2.1/os-floating-ip-pools", rules.rule("os-floating-ip-pools", rules.ANYONE),
    key="floating_ip_pools", until=UNTIL, kept=False,
)  # fmt: skip
def pools(ctx: Context) -> Page[PoolView]:
    """List the networks that floating addresses come from."""
    return Page([PoolView(name=name) for name in _pools(ctx).values()])


@api.get(
    "/v2.1/os-floating-ips", rules.rule("os-floating-ips:list", rules.READER),
    key="floating_ips", until=UNTIL, kept=False,
)  # fmt: skip
def index(ctx: Context) -> Page[FloatingIpView]:
    """List the project's floating addresses."""
    rules.allow_own(ctx)
    own = {"project_id": ctx.caller.project_id}
    found = ask(ctx, network.SERVICE, "GET", PATH, query=own)["floatingips"]
    known = _pools(ctx)
    ports = ask(ctx, network.SERVICE, "GET", "/v2.0/ports", query=own)["ports"] if found else []
    servers = {each["id"]: each["device_id"] for each in ports}
    return Page([_view(each, known, servers.get(each["port_id"])) for each in found])


@api.post(
    "/v2.1/os-floating-ips", rules.rule("os-floating-ips:create", rules.MEMBER),
    until=UNTIL,
)  # fmt: skip
def create(ctx: Context, body: CreateBody | None) -> Made:
    """Give the project a floating address."""
    rules.allow_own(ctx)
    known = _pools(ctx)
    wanted = body.pool if body is not None else None
    pool_id = next((key for key, name in known.items() if wanted in (None, key, name)), None)
    if pool_id is None:
        raise PoolNotFound
    try:
        asked = {"floatingip": {"floating_network_id": pool_id}}
        made = ask(ctx, network.SERVICE, "POST", PATH, body=asked)["floatingip"]
    except BadRequest:
        raise NoneLeft(pool=known[pool_id]) from None
    except Conflict as error:  # the project may have no more
        raise Forbidden(error.text) from None
    return Made(floating_ip=_view(made, known, None))


@api.get(
    "/v2.1/os-floating-ips/{floating_ip_id}", rules.rule("os-floating-ips:show", rules.READER),
    key="floating_ip", until=UNTIL, kept=False,
)  # fmt: skip
def show(ctx: Context, floating_ip_id: str) -> FloatingIpView:
    """Show a floating address."""
    rules.allow_own(ctx)
    found = ask(ctx, network.SERVICE, "GET", f"{PATH}/{floating_ip_id}")["floatingip"]
    return _view(found, _pools(ctx), server_of(ctx, found))


@api.delete(
    "/v2.1/os-floating-ips/{floating_ip_id}", rules.rule("os-floating-ips:delete", rules.MEMBER),
    status=202, until=UNTIL,
)  # fmt: skip
def delete(ctx: Context, floating_ip_id: str) -> None:
    """Take a floating address away from the project."""
    rules.allow_own(ctx)
    ask(ctx, network.SERVICE, "DELETE", f"{PATH}/{floating_ip_id}")


def server_of(ctx: Context, found: dict[str, Any]) -> str | None:
    """The server that a floating address leads to."""
    if not found["port_id"]:
        return None
    port = ask(ctx, network.SERVICE, "GET", f"/v2.0/ports/{found['port_id']}")["port"]
    server_id: str = port["device_id"]
    return server_id


def _pools(ctx: Context) -> dict[str, str]:
    """The names of the external networks, by their ids."""
    external = {"router:external": "true"}
    found = ask(ctx, network.SERVICE, "GET", "/v2.0/networks", query=external)["networks"]
    return {each["id"]: each["name"] or each["id"] for each in found}


def _view(found: dict[str, Any], known: dict[str, str], server_id: str | None) -> FloatingIpView:
    return FloatingIpView(
        id=found["id"],
        ip=found["floating_ip_address"],
        pool=known.get(found["floating_network_id"]),
        fixed_ip=found["fixed_ip_address"],
        instance_id=server_id or None,
    )
