"""Keys that are generated, and how people tell keys apart."""

import datetime as dt
from base64 import b64decode
from hashlib import md5, sha1

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from onestack.core.certificate import self_signed
from onestack.core.errors import BadRequest

KEY_BITS = 2048
LIFETIME = dt.timedelta(days=3650)


class BadKey(BadRequest):
    message = "Keypair data is invalid: failed to generate fingerprint"


def generated(kind: str, user_id: str) -> tuple[str, str]:
    """A new private key, and what is public of it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    if kind == "x509":
        return private, _certificate(key, user_id)
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return private, f"{public.decode()} Generated-by-onestack"


def fingerprint(kind: str, public_key: str) -> str:
    """How people tell keys apart."""
    try:
        if kind == "x509":
            certificate = x509.load_pem_x509_certificate(public_key.encode())
            content = certificate.public_bytes(serialization.Encoding.DER)
            digest = sha1(content, usedforsecurity=False).hexdigest()
        else:
            serialization.load_ssh_public_key(public_key.encode())
            content = b64decode(public_key.split()[1])
            digest = md5(content, usedforsecurity=False).hexdigest()
    except (ValueError, IndexError, UnsupportedAlgorithm) as error:
        raise BadKey from error
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _certificate(key: rsa.RSAPrivateKey, user_id: str) -> str:
    """A certificate for a key, which the key itself vouches for."""
    use = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
    made = self_signed(key, user_id[:64], LIFETIME, [(use, False)])
    return made.public_bytes(serialization.Encoding.PEM).decode()
