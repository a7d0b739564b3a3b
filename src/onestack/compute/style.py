"""Nova's envelopes: errors named after what went wrong, and lists with links."""

from typing import Any

from onestack.core.api import Microversions, Page
from onestack.core.context import Context, Request
from onestack.core.errors import ApiError, Forbidden, NotAcceptable
from onestack.core.faults import fault
from onestack.core.paging import page_query
from onestack.core.shapes import Link, Version

ROOT = "/compute"
VERSIONS = Microversions(
    "compute", Version(2, 1), Version(2, 104), legacy_header="X-OpenStack-Nova-API-Version"
)


class ComputeStyle:
    """How the compute service's answers look."""

    def error(self, error: ApiError, _request: Request) -> dict[str, Any]:
        return fault(error, _worded(error))

    def page(self, key: str, page: Page[Any], request: Request) -> dict[str, Any]:
        answer: dict[str, Any] = {key: page.items}
        if page.next_marker is not None:
            query = page_query(request, page.next_marker)
            address = f"{request.base_url}{request.path}?{query}"
            answer[f"{key}_links"] = [{"rel": "next", "href": address}]
        return answer


def links(ctx: Context, path: str) -> list[Link]:
    """Where a thing is: in this version of the API, and in any."""
    base = f"{ctx.request.base_url}{ROOT}"
    return [
        Link(rel="self", href=f"{base}/v2.1/{path}"),
        Link(rel="bookmark", href=f"{base}/{path}"),
    ]


def _worded(error: ApiError) -> str:
    """What went wrong, in the words that Nova's clients know."""
    if isinstance(error, NotAcceptable):
        return (
            f"Version {error.details['version']} is not supported by the API. "
            f"Minimum is {error.details['low']} and maximum is {error.details['high']}."
        )
    if isinstance(error, Forbidden) and "action" in error.details:
        return f"Policy doesn't allow {error.details['action']} to be performed."
    return error.text
