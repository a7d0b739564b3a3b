"""Resource options of users: exceptions from the rules for passwords, and how to sign in."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from onestack.core.shapes import UNSET, Meta, Shape, UnsetType

Switch = bool | UnsetType | None
MethodNames = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64)]], Meta(min_length=1, max_length=32)
]
MethodRules = Annotated[list[MethodNames], Meta(max_length=100)]


class UserOptions(Shape, forbid_unknown_fields=True):
    """Options to set; null takes an option away."""

    ignore_change_password_upon_first_use: Switch = UNSET
    ignore_password_expiry: Switch = UNSET
    ignore_lockout_failure_attempts: Switch = UNSET
    lock_password: Switch = UNSET
    ignore_user_inactivity: Switch = UNSET
    multi_factor_auth_enabled: Switch = UNSET
    multi_factor_auth_rules: MethodRules | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        rules = self.multi_factor_auth_rules
        if isinstance(rules, list) and (
            _repeats(rules) or any(_repeats(methods) for methods in rules)
        ):
            raise ValueError("multi_factor_auth_rules must not repeat a rule, nor a rule a method")


def merged(given: UserOptions, stored: Mapping[str, Any]) -> dict[str, Any]:
    """What to store: the options there were, changed by those that the request gives."""
    asked = {k: v for k, v in msgspec.structs.asdict(given).items() if v is not UNSET}
    return {name: value for name, value in {**stored, **asked}.items() if value is not None}


def _repeats(values: list[Any]) -> bool:
    return any(value in values[:index] for index, value in enumerate(values))
