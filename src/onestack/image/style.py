"""Glance's envelopes: errors, and lists with their schema and links."""

from typing import Any

from onestack.core.api import Page
from onestack.core.context import Request
from onestack.core.errors import ApiError
from onestack.core.paging import page_query

ROOT = "/image"


class ImageStyle:
    """How the image service's answers look."""

    def error(self, error: ApiError, _request: Request) -> dict[str, Any]:
        body = {
            "message": error.text,
            "code": f"{error.status} {error.title}",
            "title": error.title,
        }
        if error.hint:
            body["hint"] = error.hint
        return body

    def page(self, key: str, page: Page[Any], request: Request) -> dict[str, Any]:
        answer: dict[str, Any] = {key: page.items, "schema": f"/v2/schemas/{key}"}
        if key not in ("images", "tasks"):
            return answer
        path = request.path.removeprefix(ROOT)
        first = page_query(request, None)
        answer["first"] = f"{path}?{first}" if first else path
        if page.next_marker is not None:
            answer["next"] = f"{path}?{page_query(request, page.next_marker)}"
        return answer
