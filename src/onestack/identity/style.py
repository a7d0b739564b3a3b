"""Keystone's envelopes: errors, lists with links, and the links that every resource carries."""

from collections.abc import Mapping
from typing import Any

from onestack.core.api import Page
from onestack.core.context import Context, Request
from onestack.core.errors import ApiError
from onestack.core.paging import page_query

ROOT = "/identity"


class IdentityStyle:
    """How identity's answers look."""

    def error(self, error: ApiError, _request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "code": error.status,
            "title": error.title,
            "message": error.text,
        }
        if error.hint:
            body["hint"] = error.hint
        return {"error": body, **error.members}

    def page(self, key: str, page: Page[Any], request: Request) -> dict[str, Any]:
        following = None
        if page.next_marker is not None:
            query = page_query(request, page.next_marker)
            following = f"{request.base_url}{request.path}?{query}"
        links = {"next": following, "self": request.url, "previous": None}
        answer: dict[str, Any] = {key: page.items, "links": links}
        if page.truncated:
            answer["truncated"] = True
        return answer


def link(ctx: Context, path: str) -> str:
    """The address of a path of the identity API, as this client reaches it."""
    return f"{ctx.request.base_url}{ROOT}/v3/{path}"


def links(ctx: Context, path: str) -> Mapping[str, str]:
    """The `links` member of a resource."""
    return {"self": link(ctx, path)}
