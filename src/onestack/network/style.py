"""Neutron's envelopes: errors by type, and lists with links."""

from typing import Any

from onestack.core.api import Page
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

    def page(self, key: str, page: Page[Any], _request: Request) -> dict[str, Any]:
        return {key: page.items}
