"""Signatures of EC2 and S3 requests, as services hand them over to be checked."""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from onestack.core import moments
from onestack.core.clock import EPOCH
from onestack.core.errors import Unauthorized

TTL_MINUTES = 15
ALGORITHM = "AWS4-HMAC-SHA256"
AUTHORIZATION = re.compile(
    ALGORITHM + r" +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([^,\s]*)"
)
BASIC_TIME = "%Y%m%dT%H%M%SZ"
PORT = re.compile(r":\d+$", re.ASCII)
S3_SERVICES = ("s3", "iam", "sts")


class Ec2Request(msgspec.Struct, frozen=True, kw_only=True):
    """What `/v3/ec2tokens` is told of the request that a client signed."""

    access: str
    signature: str = ""
    host: str = ""
    verb: str = ""
    path: str = ""
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    body_hash: str = ""


class S3Request(msgspec.Struct, frozen=True, kw_only=True):
    """What `/v3/s3tokens` is told: `token` is the signed string, in base64."""

    access: str
    signature: str = ""
    token: str = ""


class SignatureRejected(Unauthorized):
    """The request was not signed with this secret, or not now."""

    @property
    def reason(self) -> str:
        return self.text


def verify_ec2(
    request: Ec2Request, secret: str, now: dt.datetime, ttl_minutes: int = TTL_MINUTES
) -> None:
    """Raise `SignatureRejected` unless the request was signed with the secret just now."""
    if not request.signature:
        raise SignatureRejected("EC2 signature not supplied.")
    sign, signed_at = _method(request)
    _refuse_unless_recent(signed_at, now, ttl_minutes)
    for candidate in _spellings(request):
        if _equal(request.signature, sign(candidate, secret)):
            return
    raise SignatureRejected("Invalid EC2 signature.")


def verify_s3(
    request: S3Request, secret: str, now: dt.datetime, ttl_minutes: int = TTL_MINUTES
) -> None:
    """Raise `SignatureRejected` unless the string was signed with the secret just now.

    A presigned address of version 2 names the end of its life and is good until then. One of
    version 4 does not name it in the signed string: whoever allows them widens `ttl_minutes`.
    """
    if not request.signature:
        raise SignatureRejected("S3 signature not supplied.")
    text = _signed_string(request.token)
    if text.startswith("AWS4"):
        lines = text.split("\n")
        if len(lines) != 4 or lines[0] != ALGORITHM:
            raise SignatureRejected("The signed string is malformed.")
        _refuse_unless_recent(_basic_time(lines[1]), now, ttl_minutes)
        scope = _scope(lines[2].split("/"), lines[1])
        if scope.service not in S3_SERVICES:
            raise SignatureRejected("The signature is for another service.")
        expected = hmac.new(scope.key(secret), _encoded(text), hashlib.sha256).hexdigest()
    else:
        _refuse_unless_valid_v2(text.split("\n"), now, ttl_minutes)
        expected = _sign(secret, text, "sha1")
    if not _equal(request.signature, expected):
        raise SignatureRejected("Credential signature mismatch.")


class _Scope(NamedTuple):
    """Where and when a version 4 signature counts."""

    date: str
    region: str
    service: str

    def key(self, secret: str) -> bytes:
        """The key that is derived for this scope."""
        key = _encoded("AWS4" + secret)
        for part in (*self, "aws4_request"):
            key = hmac.new(key, _encoded(part), hashlib.sha256).digest()
        return key


class _V4(NamedTuple):
    """The parameters of a version 4 signature, from the header or the query."""

    scope: _Scope
    signed_headers: str
    time: str


Signer = Callable[[Ec2Request, str], str]


def _method(request: Ec2Request) -> tuple[Signer, dt.datetime]:
    """How the request says it was signed, and the time within what was signed."""
    version = request.params.get("SignatureVersion")
    if version in _SIGNERS:
        return _SIGNERS[version], _iso_time(request.params.get("Timestamp"))
    if version is not None:
        raise SignatureRejected(f"Unknown signature version: {version}")
    return _sign_v4, _basic_time(_v4(request).time)


def _spellings(request: Ec2Request) -> list[Ec2Request]:
    """The request as it came; then without the port, which old clients do not sign."""
    headers = {
        name: PORT.sub("", value) if name.strip().lower() == "host" else value
        for name, value in request.headers.items()
    }
    portless = msgspec.structs.replace(request, host=PORT.sub("", request.host), headers=headers)
    return [request] if portless == request else [request, portless]


def _sign_v0(request: Ec2Request, secret: str) -> str:
    if "Action" not in request.params:
        raise SignatureRejected("A version 0 signature needs an Action.")
    return _sign(secret, request.params["Action"] + request.params["Timestamp"], "sha1")


def _sign_v1(request: Ec2Request, secret: str) -> str:
    names = sorted(_without(request.params, "Signature"), key=str.lower)
    return _sign(secret, "".join(name + request.params[name] for name in names), "sha1")


def _sign_v2(request: Ec2Request, secret: str) -> str:
    method = request.params.get("SignatureMethod", "HmacSHA256")
    if method not in ("HmacSHA1", "HmacSHA256"):
        raise SignatureRejected(f"Unknown signature method: {method}")
    query = _canonical_query(_without(request.params, "Signature"))
    text = "\n".join((request.verb.upper(), request.host.lower(), request.path or "/", query))
    return _sign(secret, text, method.removeprefix("Hmac").lower())


def _sign_v4(request: Ec2Request, secret: str) -> str:
    signature = _v4(request)
    # A POST carries its parameters in the body, of which the hash speaks.
    params = {} if request.verb.upper() == "POST" else request.params
    canonical = "\n".join(
        (
            request.verb.upper(),
            request.path or "/",
            _canonical_query(_without(params, "X-Amz-Signature")),
            _canonical_headers(request, signature.signed_headers),
            signature.signed_headers,
            request.body_hash,
        )
    )
    scope = signature.scope
    text = "\n".join(
        (
            ALGORITHM,
            signature.time,
            "/".join((*scope, "aws4_request")),
            hashlib.sha256(_encoded(canonical)).hexdigest(),
        )
    )
    return hmac.new(scope.key(secret), _encoded(text), hashlib.sha256).hexdigest()


_SIGNERS: dict[str | None, Signer] = {"0": _sign_v0, "1": _sign_v1, "2": _sign_v2}


def _v4(request: Ec2Request) -> _V4:
    """Read the version 4 parameters strictly, from the one place that holds them."""
    headers = _lowered(request.headers)
    time = headers.get("x-amz-date") or request.params.get("X-Amz-Date", "")
    authorization = headers.get("authorization", "")
    if match := AUTHORIZATION.fullmatch(authorization):
        credential, signed_headers = match[1], match[2]
    elif request.params.get("X-Amz-Algorithm") == ALGORITHM and not authorization:
        credential = request.params.get("X-Amz-Credential", "")
        signed_headers = request.params.get("X-Amz-SignedHeaders", "")
        time = request.params.get("X-Amz-Date", "")
    else:
        raise SignatureRejected("Unexpected signature format.")
    if not request.body_hash:
        raise SignatureRejected("A version 4 signature needs the body's hash.")
    if "host" not in signed_headers.split(";"):
        raise SignatureRejected("The signature leaves out the host.")
    access, *scope = credential.split("/")
    if access != request.access:
        raise SignatureRejected("The signature names another access key.")
    _basic_time(time)
    return _V4(_scope(scope, time), signed_headers, time)


def _scope(parts: list[str], time: str) -> _Scope:
    if len(parts) != 4 or parts[3] != "aws4_request":
        raise SignatureRejected("The credential scope is malformed.")
    if parts[0] != time[:8]:
        raise SignatureRejected("The credential scope has another date than the request.")
    return _Scope(*parts[:3])


def _canonical_query(params: Mapping[str, str]) -> str:
    pairs = ((_quoted(name), _quoted(value)) for name, value in params.items())
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _canonical_headers(request: Ec2Request, signed_headers: str) -> str:
    headers = {"host": request.host, **_lowered(request.headers)}
    lines = []
    for name in signed_headers.split(";"):
        if name not in headers:
            raise SignatureRejected(f"The signed header {name} is missing.")
        lines.append(f"{name}:{' '.join(headers[name].split())}\n")
    return "".join(lines)


def _signed_string(token: str) -> str:
    """The string to sign; services write it in either alphabet of base64."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        pass
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, ValueError):
        raise SignatureRejected("The signed string is malformed.") from None


def _refuse_unless_valid_v2(lines: list[str], now: dt.datetime, ttl_minutes: int) -> None:
    """Judge the time in an S3 version 2 string: verb, MD5, type, date, headers, resource."""
    if len(lines) < 5:
        raise SignatureRejected("The signed string is malformed.")
    amazon = [line for line in lines[4:-1] if line.startswith("x-amz-date:")]
    stated = amazon[0].partition(":")[2].strip() if amazon else lines[3]
    if stated.isascii() and stated.isdigit():
        if len(stated) > 11 or EPOCH + dt.timedelta(seconds=int(stated)) < now:
            raise SignatureRejected("Credential timestamp is expired.")
        return
    try:
        signed_at = _naive(parsedate_to_datetime(stated))
    except (TypeError, ValueError, IndexError, OverflowError):
        raise SignatureRejected("Credential timestamp is invalid.") from None
    _refuse_unless_recent(signed_at, now, ttl_minutes)


def _refuse_unless_recent(signed_at: dt.datetime, now: dt.datetime, ttl_minutes: int) -> None:
    if abs(now - signed_at) > dt.timedelta(minutes=ttl_minutes):
        raise SignatureRejected("Credential timestamp is expired.")


def _iso_time(text: str | None) -> dt.datetime:
    if not text:
        raise SignatureRejected("Credential timestamp is missing.")
    try:
        return moments.read(text)
    except ValueError:
        raise SignatureRejected("Credential timestamp is invalid.") from None


def _basic_time(text: str) -> dt.datetime:
    if not text:
        raise SignatureRejected("Credential timestamp is missing.")
    try:
        return dt.datetime.strptime(text, BASIC_TIME)
    except ValueError:
        raise SignatureRejected("Credential timestamp is invalid.") from None


def _naive(at: dt.datetime) -> dt.datetime:
    return at if at.tzinfo is None else at.astimezone(dt.UTC).replace(tzinfo=None)


def _sign(secret: str, text: str, digest: str) -> str:
    return base64.b64encode(hmac.digest(_encoded(secret), _encoded(text), digest)).decode()


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(_encoded(given), _encoded(expected))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _quoted(text: str) -> str:
    return quote(_encoded(text), safe="~")


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.strip().lower(): value.strip() for name, value in headers.items()}


def _without(params: Mapping[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in params.items() if key != name}
