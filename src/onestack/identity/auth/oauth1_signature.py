"""OAuth 1.0a signatures (RFC 5849): reading, writing and checking them."""

import base64
import datetime as dt
import hmac
import re
from collections.abc import Collection
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from onestack.core.clock import EPOCH
from onestack.identity.auth.signatures import SignatureRejected

WINDOW_S = 600
HEADER_LIMIT = 8192
FIELD_LIMIT = 1000
NONCE_LIMIT = 256
DIGESTS = {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"}
PLAINTEXT = "PLAINTEXT"
METHODS = frozenset(DIGESTS)
DEFAULT_PORTS = {"http": 80, "https": 443}
PARAMETER = re.compile(r'\s*([A-Za-z0-9._~%-]+)="([^"]*)"\s*(,|\Z)', re.ASCII)
ESCAPED = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})*", re.ASCII)
TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
REQUIRED = ("oauth_consumer_key", "oauth_signature_method", "oauth_signature")

Pairs = list[tuple[str, str]]


class OAuthRequest(msgspec.Struct, frozen=True):
    """A signed request: where it went, and the parameters of its Authorization header.

    `form_body` is the body when its type is `application/x-www-form-urlencoded`, else empty.
    """

    method: str
    url: str
    oauth: dict[str, str]
    form_body: str = ""

    @property
    def consumer_key(self) -> str:
        return self.oauth["oauth_consumer_key"]

    @property
    def token(self) -> str | None:
        return self.oauth.get("oauth_token")

    @property
    def nonce(self) -> str:
        return self.oauth["oauth_nonce"]

    @property
    def verifier(self) -> str | None:
        return self.oauth.get("oauth_verifier")

    @property
    def callback(self) -> str | None:
        return self.oauth.get("oauth_callback")


def read(method: str, url: str, authorization: str, form_body: str = "") -> OAuthRequest:
    """Read a request's header strictly; `SignatureRejected` when it is not as the RFC says."""
    oauth = parse_authorization(authorization)
    missing = [name for name in REQUIRED if not oauth.get(name)]
    if missing:
        raise SignatureRejected(f"{missing[0]} is missing.")
    if oauth.get("oauth_version", "1.0") != "1.0":
        raise SignatureRejected("Only OAuth version 1.0 is known.")
    if not 0 < len(oauth.get("oauth_nonce", "")) <= NONCE_LIMIT:
        raise SignatureRejected("oauth_nonce is missing or too long.")
    if not TIMESTAMP.fullmatch(oauth.get("oauth_timestamp", "")):
        raise SignatureRejected("oauth_timestamp is not a positive number.")
    return OAuthRequest(method, url, oauth, form_body)


def verify(
    request: OAuthRequest,
    secrets: tuple[str, str],
    now: dt.datetime,
    window_s: int = WINDOW_S,
    allowed: Collection[str] = METHODS,
) -> None:
    """Raise `SignatureRejected` unless consumer and token secret signed the request just now.

    That the nonce is new within the window is for the caller to check.
    """
    if request.oauth["oauth_signature_method"] not in allowed:
        raise SignatureRejected("The signature method is not allowed.")
    signed_s = int(request.oauth["oauth_timestamp"])
    if abs((now - EPOCH) // dt.timedelta(seconds=1) - signed_s) > window_s:
        raise SignatureRejected("oauth_timestamp is too far from now.")
    given = request.oauth["oauth_signature"].encode("utf-8", "replace")
    if not hmac.compare_digest(given, sign(request, *secrets).encode()):
        raise SignatureRejected("The signature does not match.")


def sign(request: OAuthRequest, consumer_secret: str, token_secret: str = "") -> str:
    """The signature that the request should carry."""
    key = f"{_escape(consumer_secret)}&{_escape(token_secret)}"
    method = request.oauth["oauth_signature_method"]
    if method == PLAINTEXT:
        return key
    if method not in DIGESTS:
        raise SignatureRejected("The signature method is not known.")
    digest = hmac.digest(key.encode(), signature_base_string(request).encode(), DIGESTS[method])
    return base64.b64encode(digest).decode()


def signature_base_string(request: OAuthRequest) -> str:
    """What is signed: the method, the address and every parameter, in the one normal form."""
    address, query = _address(request.url)
    elsewhere = [*_form(query), *_form(request.form_body)]
    if any(name.startswith("oauth_") for name, _ in elsewhere):
        raise SignatureRejected("OAuth parameters belong into the Authorization header alone.")
    own = [(k, v) for k, v in request.oauth.items() if k not in ("realm", "oauth_signature")]
    escaped = sorted((_escape(name), _escape(value)) for name, value in [*own, *elsewhere])
    parameters = "&".join(f"{name}={value}" for name, value in escaped)
    return "&".join(map(_escape, (request.method.upper(), address, parameters)))


def parse_authorization(header: str) -> dict[str, str]:
    """The parameters of an `Authorization: OAuth ...` header, unescaped; none may come twice."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() != "oauth" or len(header) > HEADER_LIMIT:
        raise SignatureRejected("The Authorization header is not of OAuth.")
    parameters: dict[str, str] = {}
    position, more = 0, True
    while more:
        match = PARAMETER.match(rest, position)
        if match is None:
            raise SignatureRejected("The Authorization header is malformed.")
        name = _unescape(match[1])
        if name in parameters:
            raise SignatureRejected(f"{name} comes twice.")
        parameters[name] = match[2] if name == "realm" else _unescape(match[2])
        position, more = match.end(), match[3] == ","
    return parameters


def _address(url: str) -> tuple[str, str]:
    """The address without default port, query and fragment; and the query."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SignatureRejected("The address is malformed.") from None
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in DEFAULT_PORTS or not host:
        raise SignatureRejected("The address is malformed.")
    authority = f"[{host}]" if ":" in host else host
    if port not in (None, DEFAULT_PORTS[scheme]):
        authority = f"{authority}:{port}"
    return f"{scheme}://{authority}{parts.path or '/'}", parts.query


def _form(text: str) -> Pairs:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELD_LIMIT)
    except ValueError:
        raise SignatureRejected("The form or query is malformed.") from None


def _escape(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="~")


def _unescape(text: str) -> str:
    if not ESCAPED.fullmatch(text):
        raise SignatureRejected("The Authorization header is malformed.")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise SignatureRejected("The Authorization header is malformed.") from None
