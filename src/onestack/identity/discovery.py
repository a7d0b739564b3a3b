"""Version discovery: what identity is, before anyone signs in."""

from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Context
from onestack.core.shapes import Link, Shape, field
from onestack.identity.style import ROOT

api = Operations("versions")

VERSION = "v3.14"
UPDATED = "2020-04-07T00:00:00Z"


class MediaType(Shape):
    """A form in which the API answers."""

    base: str = "application/json"
    type: str = "application/vnd.openstack.identity-v3+json"


class VersionView(Shape):
    """One version of the API."""

    links: list[Link]
    id: str = VERSION
    status: str = "stable"
    updated: str = UPDATED
    media_types: list[MediaType] = field(default_factory=lambda: [MediaType()], name="media-types")


class VersionsView(Shape):
    """All versions of the API."""

    values: list[VersionView]


@api.get("/", PUBLIC, key="versions", status=300)
def versions(ctx: Context) -> VersionsView:
    """List the versions of the identity API."""
    return VersionsView(values=[_version(ctx)])


@api.get("/v3", PUBLIC, key="version")
def version(ctx: Context) -> VersionView:
    """Show the one version of the identity API."""
    return _version(ctx)


def _version(ctx: Context) -> VersionView:
    address = f"{ctx.request.base_url}{ROOT}/v3/"
    return VersionView(links=[Link(rel="self", href=address)])
