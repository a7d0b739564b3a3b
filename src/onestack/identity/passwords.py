"""Passwords: how they are kept, checked at equal cost, and judged for strength."""

import base64
import hashlib
import hmac
import os
import re
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import ParamSpec, TypeVar

import bcrypt

from onestack.core.errors import BadRequest, Unavailable

PASSWORD_LIMIT = 4096
BCRYPT_LIMIT = 72
DEFAULT_ROUNDS = 12
BCRYPT_ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
SCRYPT_MEMORY = 256 * 1024 * 1024

BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")
BCRYPT_SHA256 = re.compile(
    r"\$bcrypt-sha256\$v=2,t=(2[ab]),r=(\d{1,2})\$([./A-Za-z0-9]{22})\$([./A-Za-z0-9]{31})"
)
SCRYPT = re.compile(
    r"\$scrypt\$ln=([12]?\d),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)"
)
PBKDF2 = re.compile(r"\$pbkdf2-sha512\$(\d{1,8})\$([A-Za-z0-9./]+)\$([A-Za-z0-9./]+)")

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class PasswordTooLong(BadRequest):
    message = "The password is longer than {limit} characters."


class PasswordTooWeak(BadRequest):
    message = "The password does not match the requirements: {detail}."


class TooBusy(Unavailable):
    message = "Too many passwords are being checked at once. Please try again."


class Strength:
    """What a new password must look like, and how to say so."""

    def __init__(self, regex: str | None, description: str | None) -> None:
        self._pattern = re.compile(regex) if regex else None
        self._description = description or "it must match the configured pattern"

    def check(self, text: str) -> None:
        """Raise `PasswordTooWeak` unless the password matches."""
        _refuse_long(text)
        if self._pattern is not None and not self._pattern.match(text):
            raise PasswordTooWeak(detail=self._description)


class Hashing:
    """A few threads of low priority for what costs a quarter of a second of processor time.

    The queue is bounded: a flood of logins is turned away instead of remembered.
    """

    def __init__(self, threads: int | None = None, queue: int = 256) -> None:
        count = max(1, threads or len(os.sched_getaffinity(0)))
        self._places = threading.BoundedSemaphore(count + queue)
        self._pool = ThreadPoolExecutor(count, "hashing", initializer=_yield_to_others)

    def run(
        self,
        function: Callable[Arguments, Answer],
        *arguments: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Future[Answer]:
        """Start the work when a thread is free; raise `TooBusy` when too much waits already."""
        if not self._places.acquire(blocking=False):
            raise TooBusy
        try:
            future = self._pool.submit(function, *arguments, **options)
        except RuntimeError:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        return future

    def close(self) -> None:
        """Forget what waits and end the threads."""
        self._pool.shutdown(cancel_futures=True)


def hash_password(text: str, rounds: int) -> str:
    """The form in which a password is kept."""
    secret = _encoded(text)
    salt = bcrypt.gensalt(rounds).decode()
    if _fits_bcrypt(secret):
        return bcrypt.hashpw(secret, salt.encode()).decode()
    digest = _digested(secret, salt[7:], "2b", rounds)
    return f"$bcrypt-sha256$v=2,t=2b,r={rounds}${salt[7:]}${digest}"


def verify(text: str, stored: str) -> bool:
    """Whether the password is the one that was stored, in any form that we can read.

    For a user who does not exist, check against `dummy(rounds)`: it costs the same.
    """
    secret = _encoded(text)
    for pattern, check in _SCHEMES:
        if match := pattern.fullmatch(stored):
            with suppress(ValueError, MemoryError):
                return check(secret, match)
            break
    bcrypt.checkpw(_cut(secret), dummy(DEFAULT_ROUNDS).encode())
    return False


@lru_cache
def dummy(rounds: int) -> str:
    """A stored form that no password matches and that costs as much to check as a real one."""
    # Made up, not computed: else the first login of an unknown user would take twice as long.
    digest = "".join(secrets.choice(BCRYPT_ALPHABET) for _ in range(31))
    return bcrypt.gensalt(rounds).decode() + digest


def outdated(stored: str, rounds: int) -> bool:
    """Whether the next successful login should store the password anew (import, other cost)."""
    match = BCRYPT.fullmatch(stored)
    if match:
        return int(match[1]) != rounds
    match = BCRYPT_SHA256.fullmatch(stored)
    return match is None or int(match[2]) != rounds


def _refuse_long(text: str) -> None:
    if len(text) > PASSWORD_LIMIT:
        raise PasswordTooLong(limit=PASSWORD_LIMIT)


def _encoded(text: str) -> bytes:
    _refuse_long(text)
    return text.encode("utf-8", "surrogatepass")


def _fits_bcrypt(secret: bytes) -> bool:
    # Bcrypt ends a key with a NUL and repeats it up to 72 bytes. Without a NUL inside, and with
    # the closing one within the 72, no two passwords are the same key.
    return len(secret) < BCRYPT_LIMIT and b"\0" not in secret


def _cut(secret: bytes) -> bytes:
    return secret[:BCRYPT_LIMIT]


def _digested(secret: bytes, salt: str, variant: str, rounds: int) -> str:
    """Bcrypt of a digest that is keyed with the salt, so that no foreign digest can stand in."""
    key = base64.b64encode(hmac.new(salt.encode(), secret, hashlib.sha256).digest())
    return bcrypt.hashpw(key, f"${variant}${rounds:02}${salt}".encode()).decode()[29:]


def _verify_bcrypt(secret: bytes, stored: re.Match[str]) -> bool:
    # Keystone cuts at 72 bytes, so an imported hash may stand for the start of a long password;
    # one of ours stands for 71 bytes at most, which no cut password can equal.
    matches = bcrypt.checkpw(_cut(secret), stored[0].encode())
    return matches and b"\0" not in secret


def _verify_bcrypt_sha256(secret: bytes, stored: re.Match[str]) -> bool:
    variant, rounds, salt, digest = stored.groups()
    computed = _digested(secret, salt, variant, int(rounds))
    return hmac.compare_digest(computed.encode(), digest.encode())


def _verify_scrypt(secret: bytes, stored: re.Match[str]) -> bool:
    salt, digest = _from_base64(stored[4]), _from_base64(stored[5])
    computed = hashlib.scrypt(
        secret,
        salt=salt,
        n=1 << int(stored[1]),
        r=int(stored[2]),
        p=int(stored[3]),
        dklen=len(digest),
        maxmem=SCRYPT_MEMORY,
    )
    return hmac.compare_digest(computed, digest)


def _verify_pbkdf2(secret: bytes, stored: re.Match[str]) -> bool:
    salt, digest = _from_base64(stored[2]), _from_base64(stored[3])
    computed = hashlib.pbkdf2_hmac("sha512", secret, salt, int(stored[1]), len(digest))
    return hmac.compare_digest(computed, digest)


_SCHEMES: tuple[tuple[re.Pattern[str], Callable[[bytes, re.Match[str]], bool]], ...] = (
    (BCRYPT, _verify_bcrypt),
    (BCRYPT_SHA256, _verify_bcrypt_sha256),
    (SCRYPT, _verify_scrypt),
    (PBKDF2, _verify_pbkdf2),
)


def _from_base64(text: str) -> bytes:
    """Base64 as stored hashes spell it: no padding, and a dot for the plus."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))


def _yield_to_others() -> None:
    # Requests on the event loop go first; where priorities are refused, work goes on without.
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + 10)
