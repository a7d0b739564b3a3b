"""Cinder's envelopes: errors named after what went wrong, and lists with links."""

from typing import Any

from onestack.core.api import Microversions, Page
from onestack.core.context import Request
from onestack.core.errors import ApiError
from onestack.core.faults import fault
from onestack.core.shapes import Version

ROOT = "/volume"
VERSIONS = Microversions("volume", Version(3, 0), Version(3, 70))


class VolumeStyle:
    """How the volume service's answers look."""

    def error(self, error: ApiError, _request: Request) -> dict[str, Any]:
        return fault(error, error.text)

    def page(self, key: str, page: Page[Any], _request: Request) -> dict[str, Any]:
        return {key: page.items}
