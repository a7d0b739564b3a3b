"""Attributes that several nouns share: how they are written, and who may set which."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from onestack.core.context import Context
from onestack.core.errors import BadRequest
from onestack.core.policy import Rule
from onestack.core.shapes import UNSET, Meta

MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
PRINTED = r"^[^\x00-\x08\x0a-\x1f\x7f]*$(?!\n)"

Text = Annotated[str, Meta(max_length=255, pattern=PRINTED)]


class InvalidInput(BadRequest):
    message = "Invalid input for operation: {reason}."


def given_in(body: msgspec.Struct) -> dict[str, Any]:
    """What a body says, by the names that records have."""
    return {
        name: value
        for name in body.__struct_fields__
        if (value := getattr(body, name)) is not UNSET
    }


def judge(ctx: Context, rules: Mapping[str, Rule], names: Iterable[str], target: object) -> None:
    """Some attributes need a right of their own."""
    for name in names:
        if name in rules:
            ctx.allow(target, rule=rules[name])


def said(given: Mapping[str, Any]) -> list[str]:
    """The attributes that are not left as they always are."""
    return [name for name, value in given.items() if value]


def address(text: str, what: str = "IP address") -> str:
    """An address as it is kept; or `InvalidInput`."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise InvalidInput(reason=f"'{text[:64]}' is not a valid {what}") from None


def prefix(text: str) -> str:
    """A prefix, or a single address, as it is kept; or `InvalidInput`."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise InvalidInput(reason=f"'{text[:64]}' is not a valid IP subnet") from None


def mac(text: str) -> str:
    """A MAC address as it is kept; or `InvalidInput`."""
    found = text.lower().replace("-", ":")
    if MAC.fullmatch(found) is None or found == "00:00:00:00:00:00":
        raise InvalidInput(reason=f"'{text[:64]}' is not a valid MAC address")
    return found


def domain_name(given: str | None) -> str:
    """A name in the DNS, as it is kept; or `InvalidInput`."""
    text = (given or "").lower()
    if text and not all(LABEL.fullmatch(each) for each in text.removesuffix(".").split(".")):
        raise InvalidInput(
            reason=f"'{text[:64]!a}' not a valid PQDN or FQDN. Reason: it must consist of "
            "alphanumeric characters and hyphens"
        )
    return text
