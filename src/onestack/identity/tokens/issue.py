"""Tokens are issued: who one is, by one method or several, and for what one wants to act."""

import datetime as dt
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from onestack.core import clock
from onestack.core.api import PUBLIC, Operations, Raw
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Unauthorized
from onestack.core.shapes import Shape
from onestack.identity.auth import (
    application_credential,
    external,
    mapped,
    multi_factor,
    oauth1,
    password,
    token,
    totp_proof,
)
from onestack.identity.auth.proof import Proof
from onestack.identity.settings import IdentitySettings
from onestack.identity.tokens.codec import Claims, TokenTooLarge
from onestack.identity.tokens.delegation import TokenVoid
from onestack.identity.tokens.load import load, without_catalog
from onestack.identity.tokens.scope import Scope, scoped
from onestack.identity.tokens.validation import Tokens

api = Operations("tokens")

Method = Callable[[Context, dict[str, Any]], Proof]

METHODS: dict[str, Method] = {
    "password": password.prove,
    "token": token.prove,
    "totp": totp_proof.prove,
    "application_credential": application_credential.prove,
    "oauth1": oauth1.prove,
    "external": external.prove,
    **{name: partial(mapped.prove, method=name) for name in mapped.NAMES},
}


class AuthBody(Shape):
    """An authentication request: the proofs, and the scope that is wanted."""

    identity: dict[str, Any]
    scope: Scope | str | None = None


class AuthQuery(Shape):
    """What the answer should leave out."""

    nocatalog: bool = False


class TooManyGroups(Unauthorized):
    message = "The identity provider puts the user into more groups than a token can name."


class MethodUnknown(Unauthorized):
    message = "Attempted to authenticate with an unsupported method."


@api.post("/v3/auth/tokens", PUBLIC, key="auth", status=201, threaded=True, reads=True)
def issue(ctx: Context, body: AuthBody, query: AuthQuery) -> Raw:
    """Issue a token.

    The user proves who it is by each of the methods named, and names what the token is for: a
    project, a domain, the system, a trust, or nothing.
    """
    proof = scoped(ctx, prove(ctx, body.identity), body.scope)
    return issued(ctx, proof, with_catalog=not query.nocatalog)


def prove(ctx: Context, identity: dict[str, Any]) -> Proof:
    """The one user that all methods of the request agree on."""
    names = identity.get("methods")
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise BadRequest("Expecting to find methods in identity: a list of names.")
    proofs = {}
    for name in multi_factor.in_order(dict.fromkeys(names)):
        given = identity.get(name)
        if name not in METHODS:
            raise MethodUnknown
        if not isinstance(given, dict):
            raise BadRequest(f"Expecting to find {name} in identity.")
        proofs[name] = METHODS[name](ctx, given)
    return multi_factor.completed(ctx, _agreed([proofs[name] for name in dict.fromkeys(names)]))


def issued(ctx: Context, proof: Proof, *, with_catalog: bool = True) -> Raw:
    """The answer that carries a new token."""
    tokens = ctx.cloud.get(Tokens)
    claims = _claims(ctx, proof)
    try:
        view, _ = load(ctx.session, claims)
    except TokenVoid:
        raise Unauthorized from None
    if not with_catalog:
        view = without_catalog(view)
    content = msgspec.json.encode({"token": view})
    try:
        token_id = tokens.issue(claims)
    except TokenTooLarge:
        raise TooManyGroups from None
    return Raw(content, status=201, headers={"X-Subject-Token": token_id})


def _claims(ctx: Context, proof: Proof) -> Claims:
    now = clock.now()
    lifetime_s = ctx.cloud.get(IdentitySettings).token_expiration_s
    latest = (now + dt.timedelta(seconds=lifetime_s)).replace(microsecond=0)
    return Claims(
        user_id=proof.user_id,
        methods=proof.methods,
        issued_at=now,
        expires_at=min(latest, proof.expires_at or latest),
        audit_ids=(secrets.token_urlsafe(16), *proof.audit_chain),
        **proof.claims,
    )


def _agreed(proofs: list[Proof]) -> Proof:
    if len({proof.user_id for proof in proofs}) != 1:
        raise Unauthorized
    expiries = [proof.expires_at for proof in proofs if proof.expires_at is not None]
    first = proofs[0]
    return Proof(
        first.user_id,
        tuple(dict.fromkeys(name for proof in proofs for name in proof.methods)),
        expires_at=min(expiries, default=None),
        audit_chain=next((proof.audit_chain for proof in proofs if proof.audit_chain), ()),
        claims={key: value for proof in proofs for key, value in proof.claims.items()},
        may_rescope=all(proof.may_rescope for proof in proofs),
    )
