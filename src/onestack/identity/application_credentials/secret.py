"""The secrets of application credentials: how they are made, kept and checked."""

import hashlib
import hmac
import secrets

from onestack.identity.passwords import verify

SECRET_BYTES = 64
GENERATED = "sha256:"


def generate() -> str:
    """A secret that nobody can guess."""
    return secrets.token_urlsafe(SECRET_BYTES)


def stored_generated(secret: str) -> str:
    """The form in which a generated secret is kept.

    A slow hash makes guessing dear, and 64 random bytes cannot be guessed at any price: so these
    are digested once, while secrets that users chose are kept as passwords are.
    """
    return GENERATED + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def fits(secret: str, stored: str) -> bool:
    """Whether this is the secret that was stored."""
    if stored.startswith(GENERATED):
        return hmac.compare_digest(stored_generated(secret), stored)
    return verify(secret, stored)
