"""What clients may call things, and write on them."""

from typing import Annotated

from onestack.core.shapes import Meta

Text = Annotated[str, Meta(max_length=255)]
MetadataKey = Annotated[str, Meta(min_length=1, max_length=255)]
Metadata = dict[MetadataKey, Text]


def trimmed(text: str | None) -> str | None:
    """A name as it is kept: without spaces around it."""
    return text.strip() if isinstance(text, str) else None
