"""Names of users and groups: text on one line, in which something shows."""

from typing import Annotated

from onestack.core.shapes import Meta

VISIBLE = r"^(?=.*\S)[^\x00-\x1f\x7f]+$(?!\n)"

VisibleName = Annotated[str, Meta(min_length=1, max_length=255, pattern=VISIBLE)]
Description = Annotated[str, Meta(max_length=65535)]
