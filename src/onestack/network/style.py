"""Neutron's envelopes: errors by type, and lists with links."""

from typing import Any
from urllib.parse import urlencode

from onestack.core.api import TRUE_WORDS, Page
from onestack.core.context import Request
from onestack.core.errors import ApiError

ROOT = "/network"


class NetworkStyle:
    """How the network service's answers look."""

    def error(self, error: ApiError, _request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": getattr(error, "type", type(error).__name__),
            "message": error.text,
            "detail": error.hint or "",
        }
        return {"NeutronError": body}

    def page(self, key: str, page: Page[Any], request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {key: page.items}
        if page.next_marker is not None:
            body[f"{key}_links"] = _links(page, request)
        return body


def _links(page: Page[Any], request: Request) -> list[dict[str, str]]:
    """Where the pages beside a page are; one that is not full is the last in its direction."""
    given = request.query()
    limit = int(given["limit"][-1])
    is_reverse = given.get("page_reverse", ["false"])[-1].lower() in TRUE_WORDS
    is_full = len(page.items) >= limit
    rest = {key: values for key, values in given.items() if key not in ("marker", "page_reverse")}
    links = []
    if is_full or is_reverse:
        links.append(("next", {**rest, "marker": [str(page.next_marker)]}))
    first = _id(page.items[0])
    if first and (is_full or not is_reverse):
        before = {**rest, "marker": [first], "page_reverse": ["True"]}
        links.append(("previous", before))
    root = f"{request.base_url}{request.path}"
    return [{"rel": rel, "href": f"{root}?{urlencode(query, doseq=True)}"} for rel, query in links]


def _id(item: Any) -> str:
    """An item's id; nothing where the client wants other fields only."""
    return str(item.get("id", "") if isinstance(item, dict) else item.id)
