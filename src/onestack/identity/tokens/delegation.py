"""Delegations: rights that somebody lent, to a person or to a program."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from onestack.identity.tokens.codec import Claims


class TokenVoid(Exception):
    """The token does not count, or no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """Whose rights a token uses, at most which of them, and as whom it acts."""

    user_id: str
    rights_of: str | None = None  # whose roles count, when they are not those of `user_id`
    users: tuple[str, ...] = ()  # all who are party to it: what voids their tokens voids this
    role_ids: frozenset[str] | None = None
    members: Mapping[str, Any] = field(default_factory=dict)
    caller: Mapping[str, Any] = field(default_factory=dict)
    consumer_id: str | None = None  # the program that acts, where it is one of OAuth


Delegate = Callable[[Session, Claims], Delegation]
