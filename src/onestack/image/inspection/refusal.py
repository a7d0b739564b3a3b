"""Why image data is not taken."""

from onestack.core.errors import BadRequest


class Refused(BadRequest):
    message = "The image's data is refused: {reason}."
