"""What clients write of a server, and what is drawn for them: addresses, scripts, names."""

import base64
import binascii
import re
import secrets
import string
from ipaddress import ip_address

from onestack.core import clock
from onestack.core.errors import BadRequest

PASSWORD_LENGTH = 12
UNAMBIGUOUS = "23456789abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"


class BadUserData(BadRequest):
    message = "Userdata content needs to be valid base64."


def check_user_data(text: str) -> None:
    """Refuse what is not base64."""
    decoded(text, BadUserData())


def check_address(name: str, text: str | None, version: int) -> None:
    """Refuse what is no address of this version of IP."""
    if not text:
        return
    try:
        is_right = ip_address(text).version == version
    except ValueError:
        is_right = False
    if not is_right:
        raise BadRequest(
            f"Invalid input for field/attribute {name}. Value: {text[:80]}. "
            f"{text[:80]!r} is not a 'ipv{version}'"
        )


def canonical(text: str | None) -> str | None:
    """An address as it is written shortest; nothing where none is said."""
    return str(ip_address(text)) if text else None


def decoded(text: str, refusal: BadRequest) -> bytes:
    """What base64 says."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise refusal from None


def hostname_of(name: str, server_id: str) -> str:
    """A name for a host, made of a server's name."""
    text = re.sub(r"[ _.]", "-", name.encode("ascii", "ignore").decode().lower())
    text = re.sub(r"[^a-z0-9-]", "", text).strip("-")[:63].strip("-")
    return text or f"server-{server_id}"


def new_password() -> str:
    """A password that a guest is given."""
    return "".join(secrets.choice(UNAMBIGUOUS) for _ in range(PASSWORD_LENGTH))


def drawn(length: int) -> str:
    """Letters and digits by chance."""
    letters = string.ascii_lowercase + string.digits
    return "".join(clock.randomness().choice(letters) for _ in range(length))
