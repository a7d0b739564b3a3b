"""The key and the self-signed certificate with which this cloud signs what it asserts."""

import datetime as dt
import os
import secrets
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from cryptography import x509

FILE_NAME = "saml_signing.pem"
_KEY_BITS = 3072
_LIFETIME = dt.timedelta(days=3650)
# Service providers whose clocks are behind would otherwise refuse a new certificate.
_BACKDATED = dt.timedelta(days=1)


class SamlKeys:
    """The pair in a folder; made at its first use, then the same for good and for all processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    @cached_property
    def key(self) -> rsa.RSAPrivateKey:
        key = serialization.load_pem_private_key(self._content, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{self._path} holds a key that is not RSA")
        return key

    @cached_property
    def certificate(self) -> "x509.Certificate":
        from cryptography import x509

        return x509.load_pem_x509_certificate(self._content)

    @cached_property
    def _content(self) -> bytes:
        if not self._path.exists():
            self._create()
        return self._path.read_bytes()

    def _create(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_new_pair())
                file.flush()
                os.fsync(file.fileno())
            # A link is made whole or not at all, and never replaces: of several processes that
            # start together the first one's pair is everybody's.
            os.link(draft, self._path)
        except FileExistsError:
            pass
        finally:
            draft.unlink(missing_ok=True)


def _new_pair() -> bytes:
    from cryptography import x509  # which takes long to load, and is seldom needed

    from onestack.core.certificate import pem, self_signed

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    subject = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    extensions = [(x509.BasicConstraints(ca=False, path_length=None), True), (subject, False)]
    name = "onestack SAML signing"
    certificate = self_signed(key, name, _LIFETIME, extensions, backdated=_BACKDATED)
    return pem(key) + certificate.public_bytes(serialization.Encoding.PEM)
