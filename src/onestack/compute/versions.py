"""Version discovery: what the compute service is, before anyone signs in."""

from onestack.compute.style import ROOT, VERSIONS
from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Context
from onestack.core.shapes import UNSET, Shape, UnsetType, field

api = Operations("versions")


class VersionLink(Shape):
    """An address, and what it is of."""

    rel: str
    href: str
    type: str | UnsetType = UNSET


class MediaType(Shape):
    """A form that answers have."""

    base: str
    type: str


class VersionView(Shape):
    """One version of the API, and its microversions."""

    id: str
    status: str
    version: str
    min_version: str
    updated: str
    links: list[VersionLink]
    media_types: list[MediaType] | UnsetType = field(default=UNSET, name="media-types")


@api.get("/", PUBLIC, key="versions")
def index(ctx: Context) -> list[VersionView]:
    """List the versions of the compute API."""
    return [_old(ctx), _new(ctx)]


@api.get("/v2", PUBLIC, key="version")
def show_old(ctx: Context) -> VersionView:
    """Show the version that came before microversions."""
    return _detailed(_old(ctx), "2")


@api.get("/v2.1", PUBLIC, key="version")
def show(ctx: Context) -> VersionView:
    """Show the version that has microversions."""
    return _detailed(_new(ctx), "2.1")


def _old(ctx: Context) -> VersionView:
    return VersionView(
        id="v2.0",
        status="DEPRECATED",
        version="",
        min_version="",
        updated="2025-07-04T12:00:00Z",
        links=[VersionLink(rel="self", href=f"{ctx.request.base_url}{ROOT}/v2/")],
    )


def _new(ctx: Context) -> VersionView:
    return VersionView(
        id="v2.1",
        status="CURRENT",
        version=str(VERSIONS.highest),
        min_version=str(VERSIONS.lowest),
        updated="2013-07-23T11:33:21Z",
        links=[VersionLink(rel="self", href=f"{ctx.request.base_url}{ROOT}/v2.1/")],
    )


def _detailed(shown: VersionView, version: str) -> VersionView:
    described = VersionLink(rel="describedby", href="http://docs.openstack.org/", type="text/html")
    kind = f"application/vnd.openstack.compute+json;version={version}"
    shown.links.append(described)
    shown.media_types = [MediaType(base="application/json", type=kind)]
    return shown
