"""Entries of LDAP as text, and text as LDAP wants it."""

import re
import uuid
from collections.abc import Mapping

from ldap3.core.exceptions import LDAPException
from ldap3.utils.dn import parse_dn

GUID = "objectguid"


class Entry:
    """One entry that a search found."""

    def __init__(self, dn: str, attributes: Mapping[str, list[bytes]]) -> None:
        self.dn = dn
        self.attributes = {name.lower(): values for name, values in attributes.items()}

    def values(self, attribute: str | None) -> list[str]:
        """An attribute's values as text; what is no text is left out."""
        raw = self.attributes.get((attribute or "").lower(), [])
        return [text for each in raw if (text := _text(attribute or "", each)) is not None]

    def value(self, attribute: str | None) -> str | None:
        return next(iter(self.values(attribute)), None)

    def key(self, attribute: str) -> str | None:
        """The value that names the entry: of several, the one in its name, else the first."""
        values = sorted(self.values(attribute))
        if len(values) > 1:
            naming = [value for name, value, _ in _parts(self.dn)[:1] if name == attribute.lower()]
            values = [each for each in values if _folded(each) in naming] or values
        return values[0] if values else None


def escaped(value: bytes) -> str:
    """A value within a filter: nothing but letters and digits goes as it is."""
    return "".join(
        chr(byte) if byte < 128 and chr(byte).isalnum() else f"\\{byte:02x}" for byte in value
    )


def normal_dn(dn: str) -> str:
    """A distinguished name, written in one way only: case, blanks and escapes do not count."""
    return "".join(f"{name}={value}{end}" for name, value, end in _parts(dn))


def _parts(dn: str) -> list[tuple[str, str, str]]:
    try:
        parts = parse_dn(dn, escape=False, strip=True)
    except LDAPException:
        return [("", _folded(dn), "")]
    return [(name.lower(), _folded(value), end) for name, value, end in parts]


def _folded(text: str) -> str:
    plain = re.sub(rb"\\([0-9a-fA-F]{2}|.)", _unescaped, text.encode()).decode(errors="replace")
    return " ".join(plain.casefold().split()).replace(",", "\\,")


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode()) if len(match[1]) == 2 else match[1]


def _text(attribute: str, value: bytes) -> str | None:
    if attribute.lower() == GUID and len(value) == 16:
        return str(uuid.UUID(bytes_le=value))
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
