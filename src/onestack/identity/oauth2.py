"""OAuth 2.0 client credentials: a token for an application credential, to be sent as a bearer."""

import base64
import binascii
from urllib.parse import parse_qsl

import msgspec

from onestack.core import clock
from onestack.core.api import PUBLIC, Operations, Reply
from onestack.core.context import Context
from onestack.core.errors import ApiError, BadRequest, MethodNotAllowed, Unauthorized
from onestack.core.shapes import Shape
from onestack.identity.tokens.issue import issued, prove
from onestack.identity.tokens.scope import scoped
from onestack.identity.tokens.validation import Tokens

api = Operations("oauth2")

TOKEN = "/v3/OS-OAUTH2/token"  # noqa: S105 - a path
FORM = "application/x-www-form-urlencoded"
FIELDS_MAX = 20
METHOD = "application_credential"


class Client(msgspec.Struct, frozen=True):
    """A client's id and secret: those of an application credential."""

    id: str
    secret: str


class Granted(Shape):
    """A token, as OAuth 2.0 names its parts."""

    access_token: str
    token_type: str
    expires_in: int


class InvalidClient(Unauthorized):
    message = "Client authentication failed."


class InvalidRequest(BadRequest):
    message = "{reason}"


class UnsupportedGrantType(BadRequest):
    message = "The parameter grant_type {grant_type} is not supported."


class NoSuchMethod(MethodNotAllowed):
    message = "The method is not allowed for the requested URL."


@api.get(TOKEN, PUBLIC)
@api.put(TOKEN, PUBLIC)
@api.patch(TOKEN, PUBLIC)
@api.delete(TOKEN, PUBLIC)
def refuse(ctx: Context) -> None:
    """Tokens are had by POST."""
    raise _told(NoSuchMethod().with_headers(Allow="POST"), "other_error")


@api.post(TOKEN, PUBLIC, threaded=True, reads=True)
def create(ctx: Context) -> Reply:
    """Give a client a token for its application credential."""
    try:
        token = _token(ctx, _client(ctx, _form(ctx)))
    except UnsupportedGrantType as error:
        raise _told(error, "unsupported_grant_type") from None
    except BadRequest as error:
        raise _told(error, "invalid_request") from None
    except Unauthorized:
        refusal = InvalidClient().with_headers(WWW_Authenticate='Basic realm="Keystone"')
        raise _told(refusal, "invalid_client") from None
    expires_at = ctx.cloud.get(Tokens).codec.decode(token).expires_at
    lifetime_s = int((expires_at - clock.now()).total_seconds())
    granted = Granted(access_token=token, token_type="Bearer", expires_in=lifetime_s)  # noqa: S106
    return Reply(granted, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


def _form(ctx: Context) -> dict[str, str]:
    """The fields of the request's form, each of which comes once."""
    kind = ctx.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise InvalidRequest(reason=f"The content type must be {FORM}.")
    try:
        text = ctx.request.body.decode()
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:
        raise InvalidRequest(reason="The form is malformed.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise InvalidRequest(reason="A parameter of the form comes twice.")
    if any("\0" in value for value in form.values()):
        raise InvalidRequest(reason="A NUL character is not allowed in the form.")
    grant_type = form.get("grant_type")
    if not grant_type:
        raise InvalidRequest(reason="The parameter grant_type is required.")
    if grant_type != "client_credentials":
        raise UnsupportedGrantType(grant_type=grant_type[:80])
    return form


def _client(ctx: Context, form: dict[str, str]) -> Client:
    """Who asks: by the Authorization header, or else by the form."""
    scheme, _, given = ctx.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        if "client_secret" in form:
            raise InvalidRequest(reason="The client authenticates itself in two ways.")
        client = _basic(given)
    else:
        client = Client(form.get("client_id", ""), form.get("client_secret", ""))
    if not client.id or not client.secret:
        raise InvalidClient
    return client


def _basic(given: str) -> Client:
    try:
        text = base64.b64decode(given.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidClient from None
    name, _, secret = text.partition(":")
    if "\0" in text:
        raise InvalidClient
    return Client(name, secret)


def _token(ctx: Context, client: Client) -> str:
    proofs = {"methods": [METHOD], METHOD: {"id": client.id, "secret": client.secret}}
    proof = scoped(ctx, prove(ctx, proofs), None)
    return issued(ctx, proof, with_catalog=False).headers["X-Subject-Token"]


def _told(error: ApiError, code: str) -> ApiError:
    """The error, in the words that OAuth 2.0 has for it."""
    error.members = {"error": code, "error_description": error.text}
    return error
