"""What a rule of a policy says: a decision about one thing, a condition on rows, a reason."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol, cast

import msgspec
from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.sql import SQLColumnExpression

from onestack.core.policy_language import (
    Check,
    Constant,
    CredentialIs,
    CredentialIsTarget,
    Either,
    Every,
    HasRole,
    Negation,
    Reference,
    TargetIs,
)

Credentials = Mapping[str, object]


class Target(Protocol):
    """What an operation is about."""

    def get(self, dotted_name: str, /) -> object:
        """Give an attribute; KeyError says that there is none of that name."""
        ...


Decision = Callable[[Credentials, Target | None], bool | None]


def decision_of(check: Check, rules: Mapping[str, Decision]) -> Decision:
    """Compile a check; the rules it refers to are compiled already."""
    match check:
        case Constant(allowed):
            return lambda credentials, target: allowed
        case HasRole(role):
            return lambda credentials, target: _has_role(credentials, role)
        case Reference(rule):
            return rules.get(rule, _refuse)
        case CredentialIs(path, text):
            return lambda credentials, target: _credential_is(credentials, path, text)
        case CredentialIsTarget():
            return _decide_credential_is_target(check)
        case TargetIs(attribute, expected):
            return lambda credentials, target: _target_is(target, attribute, expected)
        case Negation(part):
            return _decide_negation(decision_of(part, rules))
        case Every(parts):
            return _decide_all([decision_of(part, rules) for part in parts], False)
        case Either(parts):
            return _decide_all([decision_of(part, rules) for part in parts], True)


def _refuse(credentials: Credentials, target: Target | None) -> bool:
    return False


def _decide_credential_is_target(check: CredentialIsTarget) -> Decision:
    path, attribute = check.path, check.attribute

    def decide(credentials: Credentials, target: Target | None) -> bool | None:
        texts = _texts(credentials, path)
        if not texts:
            return False
        if target is None:
            return None
        try:
            value = target.get(attribute)
        except KeyError:
            return False
        return value is not None and str(value) in texts

    return decide


def _decide_negation(part: Decision) -> Decision:
    def decide(credentials: Credentials, target: Target | None) -> bool | None:
        answer = part(credentials, target)
        return None if answer is None else not answer

    return decide


def _decide_all(parts: list[Decision], decisive: bool) -> Decision:
    """`or` is settled by the first part that allows, `and` by the first that refuses."""

    def decide(credentials: Credentials, target: Target | None) -> bool | None:
        answer: bool | None = not decisive
        for part in parts:
            found = part(credentials, target)
            if found is decisive:
                return found
            if found is None:
                answer = None
        return answer

    return decide


def _has_role(credentials: Credentials, role: str) -> bool:
    held = credentials.get("roles")
    if not isinstance(held, _SEVERAL):
        return False
    # A plain loop costs half of a generator here, and every request makes several of these.
    for name in held:  # noqa: SIM110
        if str(name).lower() == role:
            return True
    return False


def _credential_is(credentials: Credentials, path: tuple[str, ...], text: str) -> bool:
    return any(str(value) == text for value in _values(credentials, path))


def _target_is(target: Target | None, attribute: str, text: str | None) -> bool | None:
    if target is None:
        return None
    try:
        value = target.get(attribute)
    except KeyError:
        return False
    return value is None if text is None else value is not None and str(value) == text


_SEVERAL = (list, tuple, set, frozenset)


def _values(value: object, path: tuple[str, ...]) -> tuple[object, ...]:
    """Follow a path into credentials; a list on the way stands for each of its elements."""
    for step, key in enumerate(path, start=1):
        if not isinstance(value, Mapping) or key not in value:
            return ()
        value = value[key]
        if isinstance(value, _SEVERAL):
            return tuple(found for item in value for found in _values(item, path[step:]))
    return (value,)


def _texts(credentials: Credentials, path: tuple[str, ...]) -> tuple[str, ...]:
    """Give what a credential may equal in a target.

    Upstream compares str() of both sides, so a caller without a project would own whatever has
    none, and a user who is called "None" whatever has no user. Here None is no text: it equals
    only the None that a rule itself names (`None:%(domain_id)s`, `domain_id:None`), which in SQL
    is IS NULL; and so a NULL column equals no credential, as SQL has it.
    """
    if len(path) == 1:
        value = credentials.get(path[0])
        if isinstance(value, str):
            return (value,)
    return tuple(str(value) for value in _values(credentials, path) if value is not None)


class Condition(msgspec.Struct, frozen=True):
    """Turns a check into SQL; negations are pushed down to the columns, where NULL is known."""

    checks: Mapping[str, Check]
    credentials: Credentials
    columns: Mapping[str, SQLColumnExpression[Any]]

    def of(self, check: Check, wanted: bool) -> bool | ColumnElement[bool]:
        """Give the condition under which a check gives the wanted answer."""
        match check:
            case Reference(rule):
                return self.of(self.checks.get(rule, Constant(False)), wanted)
            case Negation(part):
                return self.of(part, not wanted)
            case Every(parts):
                return self.joined(parts, wanted, not wanted)
            case Either(parts):
                return self.joined(parts, wanted, wanted)
            case CredentialIsTarget(path, attribute):
                return self.equals(attribute, _texts(self.credentials, path), wanted)
            case TargetIs(attribute, text) if text is not None:
                return self.equals(attribute, (text,), wanted)
            case TargetIs(attribute):
                return self.absent(attribute, wanted)
            case _:
                return decision_of(check, {})(self.credentials, None) is wanted

    def joined(
        self, parts: Iterable[Check], wanted: bool, decisive: bool
    ) -> bool | ColumnElement[bool]:
        """Join parts by OR when one of them decides (`decisive`), by AND otherwise."""
        conditions: list[ColumnElement[bool]] = []
        for part in parts:
            condition = self.of(part, wanted)
            if not isinstance(condition, bool):
                conditions.append(condition)
            elif condition is decisive:
                return decisive
        if not conditions:
            return not decisive
        return or_(*conditions) if decisive else and_(*conditions)

    def absent(self, attribute: str, wanted: bool) -> bool | ColumnElement[bool]:
        if attribute not in self.columns:
            return not wanted
        column = self.columns[attribute]
        return column.is_(None) if wanted else column.is_not(None)

    def equals(
        self, attribute: str, texts: Iterable[str], wanted: bool
    ) -> bool | ColumnElement[bool]:
        if attribute not in self.columns:
            return not wanted
        # An ORM attribute answers as the column that it stands for.
        column = cast(ColumnElement[Any], self.columns[attribute])
        values = [value for text in texts for value in _stored(column, text)]
        if not values:
            return not wanted
        if len(values) == 1:
            return column == values[0] if wanted else column.is_distinct_from(values[0])
        return column.in_(values) if wanted else or_(column.is_(None), column.not_in(values))


def _stored(column: ColumnElement[Any], text: str) -> list[object]:
    """Give the value of a column whose str() is a text, or none when it has no such value."""
    kind = column.type.python_type
    if kind is str:
        return [text]
    if kind is bool:
        return [text == "True"] if text in {"True", "False"} else []
    if kind is int:
        digits = text.removeprefix("-")
        fits = digits.isdecimal() and len(digits) <= 19 and str(int(text)) == text
        return [int(text)] if fits and -(2**63) <= int(text) < 2**63 else []
    raise TypeError(f"a policy cannot compare {column}: its type is {kind.__name__}")


class Explanation(msgspec.Struct, frozen=True):
    """Finds the parts of a rule that keep it from giving the wanted answer."""

    checks: Mapping[str, Check]
    decisions: Mapping[str, Decision]
    credentials: Credentials
    target: Target | None

    def of(self, check: Check, wanted: bool) -> Iterator[str]:
        if decision_of(check, self.decisions)(self.credentials, self.target) is not (not wanted):
            return
        match check:
            case Reference(rule) if rule not in self.checks:
                yield f"no rule is named {rule}"
            case Reference(rule):
                yield from self.of(self.checks[rule], wanted)
            case Negation(part):
                yield from self.of(part, not wanted)
            case Every(parts) | Either(parts):
                for part in parts:
                    yield from self.of(part, wanted)
            case _:
                yield _reason(check, wanted)


def _reason(
    check: Constant | HasRole | CredentialIs | CredentialIsTarget | TargetIs, wanted: bool
) -> str:
    verb = "is not" if wanted else "must not be"
    match check:
        case Constant():
            return "nobody may do this"
        case HasRole(role):
            return f"needs role {role}" if wanted else f"refused to role {role}"
        case CredentialIs(path, text):
            return f"{'.'.join(path)} {verb} {text}"
        case CredentialIsTarget(path, attribute):
            return f"{'.'.join(path)} {verb} {attribute}"
        case TargetIs(attribute, text):
            return f"{attribute} {verb} {text}"
