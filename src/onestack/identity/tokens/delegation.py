"""Delegations: rights that somebody lent, to a person or to a program."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from onestack.identity.tokens.codec import Claims


class TokenVoid(Exception):
    """The token does not count, or no longer."""


class Delegation(msgspec.Struct, frozen=True, kw_only=True):
    """Whose rights a token uses, at most which of them, and as whom it acts."""

    user_id: str
    rights_of: str | None = None  # whose roles count, when they are not those of `user_id`
    users: tuple[str, ...] = ()  # all who are party to it: what voids their tokens voids this
    role_ids: frozenset[str] | None = None
    members: Mapping[str, Any] = {}
    caller: Mapping[str, Any] = {}
    consumer_id: str | None = None  # the program that acts, where it is one of OAuth


Delegate = Callable[[Session, Claims], Delegation]
