"""The version document."""

from typing import Any

from onestack.core.api import PUBLIC, Operations
from onestack.core.context import Context
from onestack.core.shapes import Shape
from onestack.placement.style import VERSIONS, dated

api = Operations("versions")


class VersionsView(Shape):
    """Which versions there are."""

    versions: list[dict[str, Any]]


@api.get("/", PUBLIC)
def show(ctx: Context) -> VersionsView:
    """List the versions of the API."""
    dated(ctx)
    version = {
        "id": "v1.0",
        "min_version": str(VERSIONS.lowest),
        "max_version": str(VERSIONS.highest),
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return VersionsView(versions=[version])
