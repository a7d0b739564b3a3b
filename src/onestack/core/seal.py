"""Seals: what this cloud signed, and nobody else could have; and what nobody else may read."""

import base64
import hashlib
import hmac
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from onestack.core import clock

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Seal:
    """A secret key and what is done with it; one that is derived opens nothing of another."""

    key: bytes = field(repr=False)

    def derive(self, purpose: str) -> "Seal":
        """The seal for one purpose."""
        return Seal(hmac.digest(self.key, purpose.encode(), hashlib.sha256))

    def sign(self, text: str) -> str:
        """The signature of a text, in hexadecimal."""
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()

    def accepts(self, text: str, signature: str) -> bool:
        """Whether the text was signed with this key; takes as long whatever the answer."""
        return hmac.compare_digest(self.sign(text).encode(), signature.encode("utf-8", "replace"))

    def grant(self, text: str, for_s: float) -> str:
        """A signature that ends after a while."""
        ends = int(clock.now().timestamp() + for_s)
        return f"{ends}.{self.sign(f'{ends} {text}')}"

    def admits(self, text: str, grant: str) -> bool:
        """Whether the text was granted, and still is."""
        ends, _, signature = grant.partition(".")
        is_sound = ends.isascii() and ends.isdigit() and len(ends) <= 12
        if not is_sound or not self.accepts(f"{ends} {text}", signature):
            return False
        return clock.now().timestamp() < int(ends)

    def close(self, text: bytes) -> str:
        """The text, so that only who has this key can read it."""
        return self._fernet.encrypt(text).decode()

    def open(self, closed: str) -> bytes:
        """The text that was closed with this key."""
        return self._fernet.decrypt(closed.encode())

    @property
    def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self.key))


def of_file(path: Path) -> Seal:
    """The seal whose key is kept in a file, which is made when it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{clock.new_id()}")
    if not path.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        # Whoever links first has made the key; the others use that.
        with suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return Seal(path.read_bytes())
