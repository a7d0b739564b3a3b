"""What a token says, and the two ways it is written: Fernet (the default) and signed JSON."""

import datetime as dt
import re
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal, Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.fernet import InvalidToken as NotOurFernet
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from onestack.core.clock import EPOCH
from onestack.identity.keys import JwsKeys, KeyRepository

TOKEN_LIMIT = 8192
SECOND = dt.timedelta(seconds=1)
MICROSECOND = dt.timedelta(microseconds=1)
# A method is written as its place in this list, so the list only ever grows at its end.
METHODS = (
    "password",
    "token",
    "totp",
    "application_credential",
    "external",
    "mapped",
    "saml2",
    "openid",
    "oauth1",
    "oauth2_credential",
    "ec2credential",
    "trust",
)
BASE64 = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
HEXADECIMAL = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?", re.ASCII)


# A shortened id, or in brackets one that cannot be shortened.
Short = bytes | tuple[str]


class InvalidToken(Exception):
    """Not a token of ours: forged, damaged, foreign, or of a form that we no longer write."""


class TokenTooLarge(Exception):
    """The claims would make a token that no request could carry."""


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a token says; who it is for, and what may still be looked up about it.

    `issued_at` keeps its microseconds, because revocation compares it; `expires_at` is cut to
    whole seconds, as clients know it.
    """

    user_id: str
    methods: tuple[str, ...]
    issued_at: dt.datetime
    expires_at: dt.datetime
    audit_ids: tuple[str, ...]
    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    trust_id: str | None = None
    application_credential_id: str | None = None
    access_token_id: str | None = None
    idp_id: str | None = None
    protocol_id: str | None = None
    federated_groups: tuple[str, ...] = ()
    thumbprint: str | None = None

    def __post_init__(self) -> None:
        scopes = (self.project_id is not None, self.domain_id is not None, self.system)
        if sum(scopes) > 1:
            raise ValueError("a token has one scope at most")
        if len(self.audit_ids) not in (1, 2):
            raise ValueError("a token has its own audit id and at most one parent's")
        msgspec.structs.force_setattr(self, "expires_at", self.expires_at.replace(microsecond=0))


class Codec(Protocol):
    """Writes claims as a token and reads them back."""

    def encode(self, claims: Claims) -> str: ...
    def decode(self, token: str) -> Claims: ...


class FernetCodec:
    """Short tokens that only we can read: a packed array, encrypted."""

    def __init__(self, keys: KeyRepository) -> None:
        self._keys = keys

    def encode(self, claims: Claims) -> str:
        content = _pack(claims)
        issued_s = max(0, (claims.issued_at - EPOCH) // SECOND)
        token = self._keys.fernet.encrypt_at_time(content, issued_s)
        return _sized(token.decode().rstrip("="))

    def decode(self, token: str) -> Claims:
        """Raise `InvalidToken` for anything but a token of ours; expiry is not judged here."""
        _from_base64(token)
        try:
            content = self._keys.fernet.decrypt(_padded(token))
        except NotOurFernet:
            raise InvalidToken from None
        return _unpack(content)


class JwsCodec:
    """Tokens that anyone who has a public key can check: ES256 and nothing else."""

    def __init__(self, keys: JwsKeys) -> None:
        self._keys = keys

    def encode(self, claims: Claims) -> str:
        header = _to_base64(msgspec.json.encode(_Header()))
        content = f"{header}.{_to_base64(_state(claims))}"
        der = self._keys.private.sign(content.encode(), ec.ECDSA(SHA256()))
        r, s = decode_dss_signature(der)
        return _sized(f"{content}.{_to_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}")

    def decode(self, token: str) -> Claims:
        """Raise `InvalidToken` for anything but a token of ours; expiry is not judged here."""
        if len(token) > TOKEN_LIMIT or token.count(".") != 2:
            raise InvalidToken
        content, _, signature = token.rpartition(".")
        header, _, payload = content.partition(".")
        try:
            msgspec.json.decode(_from_base64(header), type=_Header)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise InvalidToken from None
        statement = _from_base64(payload)
        self._verify(content.encode(), _from_base64(signature))
        return _understand(statement)

    def _verify(self, content: bytes, signature: bytes) -> None:
        if len(signature) != 64:
            raise InvalidToken
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        der = encode_dss_signature(r, s)
        for key in self._keys.public:
            try:
                key.verify(der, content, ec.ECDSA(SHA256()))
            except InvalidSignature:
                continue
            return
        raise InvalidToken


class _Packed(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Fifteen places, the most that MessagePack counts in one byte."""

    version: Literal[1]
    user_id: Short
    methods: tuple[int | str, ...]
    issued_us: int
    expires_s: int
    audit_ids: tuple[Short, ...]
    scope: Literal["", "p", "d", "s"]
    scope_id: Short | None
    trust_id: Short | None
    application_credential_id: Short | None
    access_token_id: Short | None
    idp_id: Short | None
    protocol_id: str | None
    federated_groups: tuple[Short, ...]
    thumbprint: str | None


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: Literal["ES256"] = "ES256"
    typ: Literal["JWT"] = "JWT"


class _Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The claims under the names that other readers of such tokens know."""

    sub: str
    iat: float
    exp: int
    openstack_methods: tuple[str, ...]
    openstack_audit_ids: tuple[str, ...]
    openstack_project_id: str | None = None
    openstack_domain_id: str | None = None
    openstack_system: Literal["all"] | None = None
    openstack_trust_id: str | None = None
    openstack_app_cred_id: str | None = None
    openstack_access_token_id: str | None = None
    openstack_idp_id: str | None = None
    openstack_protocol_id: str | None = None
    openstack_group_ids: tuple[str, ...] = ()
    openstack_thumbprint: str | None = None


_unpacker = msgspec.msgpack.Decoder(_Packed)
_statement_reader = msgspec.json.Decoder(_Statement)


def _pack(claims: Claims) -> bytes:
    scope: Literal["", "p", "d", "s"] = ""
    if claims.system:
        scope = "s"
    elif claims.project_id is not None:
        scope = "p"
    elif claims.domain_id is not None:
        scope = "d"
    packed = _Packed(
        version=1,
        user_id=_short(claims.user_id),
        methods=tuple(METHODS.index(m) if m in METHODS else m for m in claims.methods),
        issued_us=(claims.issued_at - EPOCH) // MICROSECOND,
        expires_s=(claims.expires_at - EPOCH) // SECOND,
        audit_ids=tuple(map(_short_audit_id, claims.audit_ids)),
        scope=scope,
        scope_id=_short_or_none(
            claims.domain_id if claims.project_id is None else claims.project_id
        ),
        trust_id=_short_or_none(claims.trust_id),
        application_credential_id=_short_or_none(claims.application_credential_id),
        access_token_id=_short_or_none(claims.access_token_id),
        idp_id=_short_or_none(claims.idp_id),
        protocol_id=claims.protocol_id,
        federated_groups=tuple(map(_short, claims.federated_groups)),
        thumbprint=claims.thumbprint,
    )
    return msgspec.msgpack.encode(packed)


def _unpack(content: bytes) -> Claims:
    try:
        packed = _unpacker.decode(content)
        scope_id = _long_or_none(packed.scope_id)
        return Claims(
            user_id=_long(packed.user_id),
            methods=tuple(METHODS[m] if isinstance(m, int) else m for m in packed.methods),
            issued_at=EPOCH + dt.timedelta(microseconds=packed.issued_us),
            expires_at=EPOCH + dt.timedelta(seconds=packed.expires_s),
            audit_ids=tuple(map(_long_audit_id, packed.audit_ids)),
            project_id=scope_id if packed.scope == "p" else None,
            domain_id=scope_id if packed.scope == "d" else None,
            system=packed.scope == "s",
            trust_id=_long_or_none(packed.trust_id),
            application_credential_id=_long_or_none(packed.application_credential_id),
            access_token_id=_long_or_none(packed.access_token_id),
            idp_id=_long_or_none(packed.idp_id),
            protocol_id=packed.protocol_id,
            federated_groups=tuple(map(_long, packed.federated_groups)),
            thumbprint=packed.thumbprint,
        )
    except (msgspec.DecodeError, ValueError, OverflowError, IndexError):
        raise InvalidToken from None


def _state(claims: Claims) -> bytes:
    statement = _Statement(
        sub=claims.user_id,
        iat=(claims.issued_at - EPOCH) / SECOND,
        exp=(claims.expires_at - EPOCH) // SECOND,
        openstack_methods=claims.methods,
        openstack_audit_ids=claims.audit_ids,
        openstack_project_id=claims.project_id,
        openstack_domain_id=claims.domain_id,
        openstack_system="all" if claims.system else None,
        openstack_trust_id=claims.trust_id,
        openstack_app_cred_id=claims.application_credential_id,
        openstack_access_token_id=claims.access_token_id,
        openstack_idp_id=claims.idp_id,
        openstack_protocol_id=claims.protocol_id,
        openstack_group_ids=claims.federated_groups,
        openstack_thumbprint=claims.thumbprint,
    )
    return msgspec.json.encode(statement)


def _understand(payload: bytes) -> Claims:
    try:
        statement = _statement_reader.decode(payload)
        return Claims(
            user_id=statement.sub,
            methods=statement.openstack_methods,
            issued_at=EPOCH + dt.timedelta(seconds=statement.iat),
            expires_at=EPOCH + dt.timedelta(seconds=statement.exp),
            audit_ids=statement.openstack_audit_ids,
            project_id=statement.openstack_project_id,
            domain_id=statement.openstack_domain_id,
            system=statement.openstack_system is not None,
            trust_id=statement.openstack_trust_id,
            application_credential_id=statement.openstack_app_cred_id,
            access_token_id=statement.openstack_access_token_id,
            idp_id=statement.openstack_idp_id,
            protocol_id=statement.openstack_protocol_id,
            federated_groups=statement.openstack_group_ids,
            thumbprint=statement.openstack_thumbprint,
        )
    except (msgspec.DecodeError, ValueError, OverflowError):
        raise InvalidToken from None


def _short(text: str) -> Short:
    """An id in half its length, where it is written in hexadecimal.

    The length says how to write it again: 16 and 32 bytes plain, 17 bytes with a UUID's dashes.
    """
    if HEXADECIMAL.fullmatch(text):
        return bytes.fromhex(text)
    if len(text) == 36 and HEXADECIMAL.fullmatch(text.replace("-", "")):
        compact = uuid.UUID(text)
        if str(compact) == text:
            return b"-" + compact.bytes
    return (text,)


def _long(packed: Short) -> str:
    if isinstance(packed, tuple):
        return packed[0]
    if len(packed) == 17:
        return str(uuid.UUID(bytes=packed[1:]))
    return packed.hex()


def _short_or_none(text: str | None) -> Short | None:
    return None if text is None else _short(text)


def _long_or_none(packed: Short | None) -> str | None:
    return None if packed is None else _long(packed)


def _short_audit_id(text: str) -> Short:
    if len(text) == 22 and BASE64.fullmatch(text):
        packed = urlsafe_b64decode(text + "==")
        if _to_base64(packed) == text:
            return packed
    return (text,)


def _long_audit_id(packed: Short) -> str:
    return packed[0] if isinstance(packed, tuple) else _to_base64(packed)


def _to_base64(content: bytes) -> str:
    return urlsafe_b64encode(content).decode().rstrip("=")


def _from_base64(text: str) -> bytes:
    """Decode the one spelling that encoding gives: a token has no second name."""
    if len(text) > TOKEN_LIMIT or len(text) % 4 == 1 or not BASE64.fullmatch(text):
        raise InvalidToken
    content = urlsafe_b64decode(_padded(text))
    if _to_base64(content) != text:
        raise InvalidToken
    return content


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _sized(token: str) -> str:
    if len(token) > TOKEN_LIMIT:
        raise TokenTooLarge
    return token
