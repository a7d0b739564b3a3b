"""The image service's settings: [image] in the settings file."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ImageSettings(msgspec.Struct, frozen=True):
    """Everything of images that an operator may choose; 0 is no limit."""

    size_max_bytes: Annotated[int, Meta(ge=1, le=2**62)] = 1 << 40
    images_per_project: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
