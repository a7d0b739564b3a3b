"""Version discovery: what the network service is, before anyone signs in."""

from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Context
from onestack.core.shapes import Link, Shape
from onestack.network.style import ROOT

api = Operations("versions")

COLLECTIONS = (
    ("network", "networks"), ("subnet", "subnets"), ("port", "ports"), ("router", "routers"),
    ("floatingip", "floatingips"), ("security_group", "security-groups"),
    ("security_group_rule", "security-group-rules"), ("subnetpool", "subnetpools"),
    ("address_scope", "address-scopes"), ("quota", "quotas"), ("agent", "agents"),
    ("rbac_policy", "rbac-policies"), ("extension", "extensions"),
)  # fmt: skip


class VersionView(Shape):
    """One version of the API."""

    id: str
    status: str
    links: list[Link]


class ResourceView(Shape):
    """A kind of thing that the API has."""

    name: str
    collection: str
    links: list[Link]


@api.get("/", PUBLIC, key="versions")
def choices(ctx: Context) -> list[VersionView]:
    """List the versions of the network API."""
    link = Link(rel="self", href=f"{ctx.request.base_url}{ROOT}/v2.0/")
    return [VersionView(id="v2.0", status="CURRENT", links=[link])]


@api.get("/v2.0", PUBLIC, key="resources")
def resources(ctx: Context) -> list[ResourceView]:
    """List the kinds of things that the API has."""
    root = f"{ctx.request.base_url}{ROOT}/v2.0"
    return [
        ResourceView(
            name=name,
            collection=collection.replace("-", "_"),
            links=[Link(rel="self", href=f"{root}/{collection}")],
        )
        for name, collection in COLLECTIONS
    ]
