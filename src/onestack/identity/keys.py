"""Key material in files: made once, rotated without a gap, reread when others rotate it."""

import datetime as dt
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from onestack.core import clock

KEY_FILE = re.compile(r"0|[1-9][0-9]{0,8}")
STAGED = 0
READS = 100  # attempts at a consistent picture while others write

Stamp = tuple[int, ...]


class KeysUnreadable(Exception):
    """A key file is missing, or holds something else than a key."""


class _FernetKeys(msgspec.Struct, frozen=True):
    stamp: Stamp
    keys: tuple[bytes, ...]
    fernet: MultiFernet


class _SigningKeys(msgspec.Struct, frozen=True):
    stamp: Stamp
    private: ec.EllipticCurvePrivateKey
    public: tuple[ec.EllipticCurvePublicKey, ...]


class KeyRepository:
    """Symmetric keys of which the newest encrypts and all decrypt.

    The file `0` is staged: every process knows it before it becomes the primary, which is the
    file with the highest number. `max_active` counts all files, the staged one included.
    """

    def __init__(self, folder: Path, max_active: int) -> None:
        if max_active < 2:
            raise ValueError("max_active must be at least 2: a staged and a primary key")
        self._folder = folder
        self._staged = folder / str(STAGED)
        self._max_active = max_active
        if len(_numbers(folder)) < 2 or STAGED not in _numbers(folder):
            with _locked(folder):
                self._complete()
        self._loaded = self._load()

    @property
    def primary(self) -> bytes:
        """The key that encrypts."""
        return self.all[0]

    @property
    def all(self) -> tuple[bytes, ...]:
        """Every key, the primary first, then from new to old; the staged one is last."""
        self.reload_if_changed()
        return self._loaded.keys

    @property
    def fernet(self) -> MultiFernet:
        """Encrypts with the primary key, decrypts with any."""
        self.reload_if_changed()
        return self._loaded.fernet

    @property
    def rotated_at(self) -> dt.datetime:
        """When the staged key was made; long ago when an interrupted rotation left none."""
        try:
            made_s = self._staged.stat().st_mtime
        except FileNotFoundError:
            return dt.datetime.min
        return dt.datetime.fromtimestamp(made_s, dt.UTC).replace(tzinfo=None)

    def rotate(self, *, prune: bool = True) -> None:
        """Make the staged key the primary, stage a new one, forget the oldest."""
        with _locked(self._folder):
            # What an interrupted rotation left is finished, not done a second time.
            if not self._complete():
                highest = max(_numbers(self._folder))
                self._promote(highest + 1)
                self._complete()
            if prune:
                self._prune()
        self._loaded = self._load()

    def prune(self) -> None:
        """Forget the oldest keys: those that nothing needs which is encrypted."""
        with _locked(self._folder):
            self._prune()
        self._loaded = self._load()

    def reload_if_changed(self) -> bool:
        """Take over another process's rotation; costs two `stat` calls when there was none."""
        try:
            if _stamp(self._folder, self._staged) == self._loaded.stamp:
                return False
            self._loaded = self._load()
        except (OSError, KeysUnreadable):
            # Files that are just being copied here must not stop a running service: the keys
            # in memory stay, and the unchanged stamp makes the next call look again.
            return False
        return True

    def _complete(self) -> bool:
        """Bring any state that a crash leaves to a whole one; whether a staged key was missing."""
        numbers = _numbers(self._folder)
        if numbers == [STAGED]:
            self._promote(STAGED + 1)
        elif not numbers:
            # The primary comes first, so that a missing staged key always means "unfinished".
            _write(self._folder / str(STAGED + 1), Fernet.generate_key())
        changed = STAGED not in _numbers(self._folder)
        if changed:
            _write(self._staged, Fernet.generate_key())
        return changed

    def _promote(self, number: int) -> None:
        self._staged.rename(self._folder / str(number))
        _sync_folder(self._folder)

    def _prune(self) -> None:
        primaries = [number for number in _numbers(self._folder) if number != STAGED]
        surplus = primaries[: max(0, len(primaries) - (self._max_active - 1))]
        for number in surplus:
            (self._folder / str(number)).unlink()
        if surplus:
            _sync_folder(self._folder)

    def _load(self) -> _FernetKeys:
        """Read without a lock (the folder may be read-only); again when it changed meanwhile."""
        for _ in range(READS):
            before = _stamp(self._folder, self._staged)
            with suppress(FileNotFoundError):
                keys = self._read()
                if _stamp(self._folder, self._staged) == before:
                    return _FernetKeys(before, keys, MultiFernet([Fernet(key) for key in keys]))
        raise KeysUnreadable(f"{self._folder} lists keys that cannot be read, or never rests")

    def _read(self) -> tuple[bytes, ...]:
        keys = []
        for number in reversed(_numbers(self._folder)):
            path = self._folder / str(number)
            key = path.read_bytes().strip()
            try:
                Fernet(key)
            except ValueError:
                raise KeysUnreadable(f"{path} is not a Fernet key") from None
            keys.append(key)
        if not keys:
            raise KeysUnreadable(f"{self._folder} holds no key")
        return tuple(keys)


class JwsKeys:
    """One ES256 private key that signs (`private.pem`) and public keys that verify (`public/`).

    The public keys of other hosts are put beside our own; rotation leaves old ones in place, for
    only the operator knows when every token signed with them is gone.
    """

    def __init__(self, folder: Path) -> None:
        self._private = folder / "private.pem"
        self._public = folder / "public"
        if not (self._private.exists() and self._public.exists()):
            with _locked(folder):
                self._public.mkdir(mode=0o700, exist_ok=True)
                if not self._private.exists():
                    self._generate()
        self._loaded = self._load()

    @property
    def private(self) -> ec.EllipticCurvePrivateKey:
        """The key that signs."""
        self.reload_if_changed()
        return self._loaded.private

    @property
    def public(self) -> tuple[ec.EllipticCurvePublicKey, ...]:
        """Every key that verifies, our own first."""
        self.reload_if_changed()
        return self._loaded.public

    def rotate(self) -> None:
        """Sign with a new key from now on; what the old one signed stays valid."""
        with _locked(self._private.parent):
            self._generate()
        self._loaded = self._load()

    def reload_if_changed(self) -> bool:
        """Take over keys that another process made, or an operator brought."""
        try:
            if _stamp(self._public, self._private) == self._loaded.stamp:
                return False
            self._loaded = self._load()
        except (OSError, KeysUnreadable):
            return False  # as in KeyRepository: the keys in memory stay
        return True

    def _generate(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        # The public key goes first: whatever is signed can be verified.
        _write(self._public / f"{sha256(public).hexdigest()[:16]}.pem", public)
        _write(self._private, private)

    def _load(self) -> _SigningKeys:
        for _ in range(READS):
            before = _stamp(self._public, self._private)
            with suppress(FileNotFoundError):
                private = _private_key(self._private)
                others = [_public_key(path) for path in sorted(self._public.glob("[!.]*.pem"))]
                own = private.public_key()
                if _stamp(self._public, self._private) == before:
                    public = (own, *(key for key in others if key != own))
                    return _SigningKeys(before, private, public)
        raise KeysUnreadable(f"{self._public} lists keys that cannot be read, or never rests")


def _private_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise KeysUnreadable(f"{path} is not a private key without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise KeysUnreadable(f"{path} is not a P-256 key, which ES256 needs")
    return key


def _public_key(path: Path) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except ValueError:
        raise KeysUnreadable(f"{path} is not a public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise KeysUnreadable(f"{path} is not a P-256 key, which ES256 needs")
    return key


def _numbers(folder: Path) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(folder) if KEY_FILE.fullmatch(name))
    except FileNotFoundError:
        return []


def _stamp(folder: Path, file: Path) -> Stamp:
    """What differs after any change of the keys.

    The file's inode tells two changes apart that fall into one tick of the file system's clock.
    """
    of_folder = folder.stat()
    try:
        of_file = file.stat()
    except FileNotFoundError:
        return (of_folder.st_mtime_ns,)
    return (of_folder.st_mtime_ns, of_file.st_mtime_ns, of_file.st_ino)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other writers, in this process and in others; a crash lets go."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for leftover in folder.glob(".new-*"):
            leftover.unlink()
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    """Write so that the file is there whole or not at all, whenever the power fails."""
    made_s = clock.now().replace(tzinfo=dt.UTC).timestamp()
    new = path.parent / f".new-{secrets.token_hex(8)}"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, content)
        os.utime(descriptor, (made_s, made_s))  # ages are told by one clock, not by the disk's
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
