"""Time-based one-time passwords (RFC 6238: SHA-1, 30 seconds, 6 digits)."""

import base64
import binascii
import datetime as dt
import hashlib
import hmac

from onestack.core.clock import EPOCH

STEP_S = 30
DIGITS = 6


def counter(at: dt.datetime) -> int:
    """The number of the 30 seconds that `at` lies in."""
    return (at - EPOCH) // dt.timedelta(seconds=STEP_S)


def passcode(secret: str, number: int) -> str:
    """The passcode for a counter; `ValueError` when the secret is not base32."""
    return _passcode(_key(secret), number)


def matching_counter(
    given: str, secret: str, at: dt.datetime, included_previous_windows: int
) -> int | None:
    """The counter whose passcode was given, for the caller to refuse its second use."""
    try:
        key = _key(secret)
    except ValueError:
        return None
    found: int | None = None
    newest = counter(at)
    # Every window is computed and compared, so that the time tells nothing.
    for number in range(newest - included_previous_windows, newest + 1):
        expected = _passcode(key, max(0, number))
        if hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            found = number
    return found


def verify(given: str, secret: str, at: dt.datetime, included_previous_windows: int) -> bool:
    """Whether the passcode is that of this window, or of one of the last few."""
    return matching_counter(given, secret, at, included_previous_windows) is not None


def _key(secret: str) -> bytes:
    text = "".join(secret.split()).upper().rstrip("=")
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise ValueError("not base32") from None
    if not key:
        raise ValueError("an empty secret")
    return key


def _passcode(key: bytes, number: int) -> str:
    digest = hmac.new(key, number.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    truncated = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{truncated % 10**DIGITS:0{DIGITS}}"
