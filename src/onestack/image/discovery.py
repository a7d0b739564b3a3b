"""Version discovery: what the image service is, before anyone signs in."""

from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Context
from onestack.core.shapes import Link, Shape
from onestack.image.style import ROOT

api = Operations("versions")

NEWEST_MINOR = 16


class VersionView(Shape):
    """One version of the API."""

    id: str
    status: str
    links: list[Link]


@api.get("/", PUBLIC, key="versions", status=300)
def choices(ctx: Context) -> list[VersionView]:
    """List the versions of the image API, for a client to choose."""
    return _versions(ctx)


@api.get("/versions", PUBLIC, key="versions")
def versions(ctx: Context) -> list[VersionView]:
    """List the versions of the image API."""
    return _versions(ctx)


def _versions(ctx: Context) -> list[VersionView]:
    address = f"{ctx.request.base_url}{ROOT}/v2/"
    return [
        VersionView(
            id=f"v2.{minor}",
            status="CURRENT" if minor == NEWEST_MINOR else "SUPPORTED",
            links=[Link(rel="self", href=address)],
        )
        for minor in range(NEWEST_MINOR, -1, -1)
    ]
