"""Values as Nova's clients may write them: numbers and flags also come as strings."""

from typing import Annotated, Any, Literal

from onestack.core.errors import BadRequest
from onestack.core.shapes import Meta

INTEGER_MAX = 2**31 - 1
TRUE = ("True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t")
FALSE = ("False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f")

Digits = Annotated[str, Meta(pattern=r"^-?[0-9]+$", max_length=20)]
Number = int | Digits
Flag = (
    bool
    | Literal[
        "True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes", "y", "t",
        "False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no", "n", "f",
    ]
)  # fmt: skip
# Printable, and neither beginning nor ending with a space.
NAME = r"^(?![\s])[^\x00-\x1f\x7f-\x9f]*(?<![\s])$"
PRINTED = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=NAME)]
Description = Annotated[str, Meta(max_length=255, pattern=PRINTED)]


def whole(value: int | str, name: str, least: int = 0, most: int = INTEGER_MAX) -> int:
    """The number that a client wrote, between two bounds."""
    number = int(value)
    if not least <= number <= most:
        raise BadRequest(
            f"Invalid input for field/attribute {name}. Value: {value}. "
            f"It must be between {least} and {most}."
        )
    return number


def flag(value: Any) -> bool:
    """The flag that a client wrote."""
    return value is True or value in TRUE
