"""How providers, consumers, resource classes and traits may be called."""

import re
from typing import Annotated
from uuid import UUID

from msgspec import Meta

INTEGER_MAX = 2**31 - 1
RATIO_MAX = 3.40282e38

ClassName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Z0-9_]+$(?!\n)")]
CustomName = Annotated[str, Meta(max_length=255, pattern=r"^CUSTOM_[A-Z0-9_]+$(?!\n)")]
TraitName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Z0-9_]+$(?!\n)")]
ProviderName = Annotated[str, Meta(min_length=1, max_length=200)]
OwnerId = Annotated[str, Meta(min_length=1, max_length=255)]
ConsumerType = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Z0-9_]+$(?!\n)")]
Suffix = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{0,64}$(?!\n)")]
Amount = Annotated[int, Meta(ge=1, le=INTEGER_MAX)]
Generation = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]

CUSTOM_NAME = re.compile(r"CUSTOM_[A-Z0-9_]+")
NAME_MAX = 255


def is_custom(name: str) -> bool:
    """Whether an operator may give a class or a trait this name."""
    return len(name) <= NAME_MAX and CUSTOM_NAME.fullmatch(name) is not None


def canonical(text: str) -> str | None:
    """A UUID in the form in which it is kept; None when it is none."""
    try:
        return str(UUID(text)) if len(text) <= 45 else None
    except ValueError:
        return None
