"""Validation: a token's meaning is kept in memory until anything of identity changes."""

from collections import OrderedDict
from threading import Lock

import msgspec

from onestack.core import clock
from onestack.core.context import Caller
from onestack.core.db import Database
from onestack.core.errors import NotFound, Unauthorized
from onestack.identity.tokens.codec import Claims, Codec, InvalidToken
from onestack.identity.tokens.delegation import TokenVoid
from onestack.identity.tokens.load import load
from onestack.identity.tokens.view import TokenView

KEPT_MAX = 20_000


class TokenNotFound(NotFound):
    message = "Could not find token."


class Validated(msgspec.Struct, frozen=True):
    """A token that counts, and what it meant at one revision of identity."""

    claims: Claims
    caller: Caller
    view: TokenView
    body: bytes
    revision: int


class Tokens:
    """Encodes tokens, and tells what they mean now."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self.database, self.codec = database, codec
        self._turn = Lock()
        self._kept: OrderedDict[str, Validated] = OrderedDict()

    def issue(self, claims: Claims) -> str:
        return self.codec.encode(claims)

    def validate(self, token: str) -> Validated:
        """What the token means; one look at the revision when nothing of identity changed."""
        revision = self.database.known_revision("identity")
        kept = self._kept.get(token)
        if kept is None or kept.revision != revision:
            kept = self._read(token, revision)
        elif kept.claims.expires_at <= clock.now():
            self._kept.pop(token, None)
            raise TokenVoid("expired")
        return kept

    def authenticate(self, token: str) -> Caller:
        """The caller behind an X-Auth-Token."""
        try:
            return self.validate(token).caller
        except TokenVoid:
            raise Unauthorized from None

    def subject(self, token: str) -> Validated:
        """The token that a request is about."""
        try:
            return self.validate(token)
        except TokenVoid:
            raise TokenNotFound from None

    def _read(self, token: str, revision: int) -> Validated:
        try:
            claims = self.codec.decode(token)
            with self.database.transaction(write=False) as session:
                view, caller = load(session, claims)
        except (InvalidToken, TokenVoid):
            self._kept.pop(token, None)
            raise TokenVoid from None
        body = msgspec.json.encode({"token": view})
        kept = Validated(claims, caller, view, body, revision)
        with self._turn:  # requests run on several threads
            self._kept[token] = kept
            self._kept.move_to_end(token)
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return kept
