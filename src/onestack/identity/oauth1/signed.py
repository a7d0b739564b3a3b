"""Requests that consumers sign: each is accepted once."""

import datetime as dt

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from onestack.core import clock
from onestack.core.clock import EPOCH
from onestack.core.context import Context
from onestack.core.db import Database
from onestack.identity.auth.oauth1_signature import WINDOW_S, OAuthRequest, read, verify
from onestack.identity.auth.signatures import SignatureRejected
from onestack.identity.credential_keys import CredentialKeys
from onestack.identity.oauth1.record import (
    AccessTokenRecord,
    ConsumerRecord,
    NonceRecord,
    RequestTokenRecord,
)

FORM = "application/x-www-form-urlencoded"

Token = RequestTokenRecord | AccessTokenRecord


def read_signed(ctx: Context) -> OAuthRequest:
    """The request at hand, as its Authorization header says that it was signed."""
    request = ctx.request
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        form = request.body.decode() if kind == FORM else ""
    except UnicodeDecodeError:
        raise SignatureRejected("The form is malformed.") from None
    authorization = request.headers.get("authorization", "")
    signed = read(request.method, request.url, authorization, form)
    if any("\0" in value for value in signed.oauth.values()):
        raise SignatureRejected("A NUL character is not allowed in a parameter.")
    return signed


def accept(ctx: Context, signed: OAuthRequest, token: Token | None = None) -> None:
    """Raise `SignatureRejected` unless the consumer signed this, and did not send it before.

    The transaction at hand ends: that the request was seen stays, whatever becomes of it.
    """
    consumer = ctx.session.get(ConsumerRecord, signed.consumer_key)
    if consumer is None or (token is not None and token.consumer_id != consumer.id):
        # The same words as for a wrong signature: who is known here is not for everyone to learn.
        raise SignatureRejected("The signature does not match.")
    keys = ctx.cloud.get(CredentialKeys)
    token_secret = "" if token is None else keys.decrypt(token.encrypted_secret)
    verify(signed, (keys.decrypt(consumer.encrypted_secret), token_secret), clock.now())
    ctx.release()
    if not _is_first(ctx, signed, "" if token is None else token.id):
        raise SignatureRejected("The request was sent before.")


def _is_first(ctx: Context, signed: OAuthRequest, token_id: str) -> bool:
    """Remember the request; whether it was not known yet."""
    signed_at = EPOCH + dt.timedelta(seconds=int(signed.oauth["oauth_timestamp"]))
    record = NonceRecord(
        consumer_id=signed.consumer_key,
        token_id=token_id,
        signed_at=signed_at,
        nonce=signed.nonce,
        expires_at=signed_at + dt.timedelta(seconds=WINDOW_S + 1),
    )
    try:
        with ctx.cloud.get(Database).transaction() as session:
            session.execute(delete(NonceRecord).where(NonceRecord.expires_at < clock.now()))
            session.add(record)
    except IntegrityError:
        return False
    return True
