"""Certificates that vouch for themselves. Loading this takes long: only who needs one does."""

import datetime as dt
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from onestack.core import clock

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Extension = tuple[x509.ExtensionType, bool]  # and whether who does not know it must refuse


def self_signed(
    key: Key, name: str, lifetime: dt.timedelta, extensions: Iterable[Extension] = (),
    *, backdated: dt.timedelta = dt.timedelta(0),
) -> x509.Certificate:  # fmt: skip
    """A certificate of a key, signed by that key; `backdated` for clocks that are behind ours."""
    owner = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = clock.now() - backdated
    draft = (
        x509.CertificateBuilder()
        .subject_name(owner)
        .issuer_name(owner)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + lifetime)
    )
    for extension, is_critical in extensions:
        draft = draft.add_extension(extension, critical=is_critical)
    return draft.sign(key, hashes.SHA256())


def pem(key: Key) -> bytes:
    """A private key as programs read it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
