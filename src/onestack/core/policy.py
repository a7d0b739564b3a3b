"""Who may do what: rules in upstream's language, asked about one thing or turned into SQL."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, false, true
from sqlalchemy.sql import SQLColumnExpression

from onestack.core.policy_evaluation import (
    Condition,
    Credentials,
    Decision,
    Explanation,
    Target,
    decision_of,
)
from onestack.core.policy_language import (
    MAX_DEPTH,
    Check,
    PolicyError,
    PolicySyntaxError,
    Reference,
    leaves,
    parse,
)

__all__ = ["Check", "Policy", "PolicyError", "PolicySyntaxError", "Rule", "Target", "parse"]

ALL_SCOPES = frozenset({"system", "domain", "project"})

# SQLite refuses expressions of more than 1000 terms, so a rule must stay below that.
MAX_CHECKS = 500


class Rule(msgspec.Struct, frozen=True):
    """The policy of one operation, under upstream's name."""

    name: str
    check: str
    scopes: frozenset[str] = ALL_SCOPES
    description: str = ""


class Policy:
    """All rules of a cloud, checked and compiled once."""

    def __init__(
        self,
        declared: Iterable[Rule],
        overrides: Mapping[str, object] | None = None,
        named: Mapping[str, str] | None = None,
    ):
        self._declared = _by_name(declared)
        self._overrides = dict(overrides or {})
        texts: dict[str, object] = dict(named or {})
        texts.update((rule.name, rule.check) for rule in self._declared.values())
        texts.update(self._overrides)
        self._texts = texts
        self._checks = _read(texts)
        self._decisions: dict[str, Decision] = {}
        for name in _Order(self._checks).names():
            self._decisions[name] = decision_of(self._checks[name], self._decisions)

    @classmethod
    def load(
        cls, declared: Iterable[Rule], path: Path | str, named: Mapping[str, str] | None = None
    ) -> "Policy":
        """Read the operator's policy.yaml over the declared rules."""
        import yaml

        try:
            overrides = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise PolicyError(f"{path} is not YAML: {error}") from error
        if overrides is None:
            overrides = {}
        if not isinstance(overrides, dict) or not all(isinstance(name, str) for name in overrides):
            raise PolicyError(f"{path} must map rule names to rules")
        try:
            return cls(declared, overrides, named)
        except PolicyError as error:
            error.add_note(f"while reading {path}")
            raise

    def decide(self, name: str, credentials: Credentials, target: Target | None) -> bool | None:
        """Say whether a rule allows; without a target, None when the answer depends on one."""
        decision = self._decisions.get(name)
        return False if decision is None else decision(credentials, target)

    def where(
        self,
        name: str,
        credentials: Credentials,
        columns: Mapping[str, SQLColumnExpression[Any]],
    ) -> ColumnElement[bool]:
        """Give a rule as a condition on rows; a row without a value is one it does not select.

        The condition may be NULL where the rule says no: use it in WHERE, never under NOT.
        """
        condition = Condition(self._checks, credentials, columns).of(Reference(name), True)
        if isinstance(condition, bool):
            return true() if condition else false()
        return condition

    def scopes_of(self, name: str) -> frozenset[str]:
        """Give the scopes in which an operation is allowed; a helper rule has all of them."""
        if name in self._declared:
            return self._declared[name].scopes
        return ALL_SCOPES if name in self._checks else frozenset()

    def explain(self, name: str, credentials: Credentials, target: Target | None) -> list[str]:
        """Say in short lines which parts of a rule refuse; nothing when none does."""
        explanation = Explanation(self._checks, self._decisions, credentials, target)
        return list(dict.fromkeys(explanation.of(Reference(name), True)))

    def items(self) -> Iterator[tuple[Rule, str, bool]]:
        """Give every rule with the text in force and whether the operator wrote it."""
        for name, text in self._texts.items():
            shown = text if isinstance(text, str) else json.dumps(text)
            rule = self._declared.get(name) or Rule(name, shown)
            yield rule, shown, name in self._overrides

    def dangling(self) -> dict[str, list[str]]:
        """Give, by rule, the names it refers to that no rule has: misspelt, and always refused."""
        missing = {
            name: [
                leaf.rule
                for leaf, _ in leaves(check)
                if isinstance(leaf, Reference) and leaf.rule not in self._checks
            ]
            for name, check in self._checks.items()
        }
        return {name: names for name, names in missing.items() if names}


def _by_name(declared: Iterable[Rule]) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for rule in declared:
        known = rules.setdefault(rule.name, rule)
        if (known.check, known.scopes) != (rule.check, rule.scopes):
            raise PolicyError(f"policy rule {rule.name!r} is declared twice, differently")
    return rules


def _read(texts: Mapping[str, object]) -> dict[str, Check]:
    # Most operations share a few texts, and reading one is what start-up would pay for.
    known: dict[str, Check] = {}
    checks: dict[str, Check] = {}
    for name, text in texts.items():
        try:
            if isinstance(text, str):
                if text not in known:
                    known[text] = parse(text)
                checks[name] = known[text]
            else:
                checks[name] = parse(text)
        except PolicySyntaxError as error:
            raise PolicySyntaxError(error.problem, text, error.position, name) from None
    return checks


class _Order:
    """Puts rules after those that they refer to; refuses cycles and what grows too large."""

    def __init__(self, checks: Mapping[str, Check]):
        self.checks = checks
        self.measured: dict[str, tuple[int, int]] = {}
        self.chain: list[str] = []

    def names(self) -> list[str]:
        for name in self.checks:
            self.measure(name)
        return list(self.measured)

    def measure(self, name: str) -> tuple[int, int]:
        """Give how deep a rule is and how many checks it makes, references included."""
        if name in self.measured:
            return self.measured[name]
        if name in self.chain:
            cycle = [*self.chain[self.chain.index(name) :], name]
            raise PolicyError(f"policy rules refer to each other in a circle: {' -> '.join(cycle)}")
        self.chain.append(name)
        deepest = 0
        count = 0
        for leaf, depth in leaves(self.checks[name]):
            below, checks = 0, 1
            if isinstance(leaf, Reference) and leaf.rule in self.checks:
                self.limit(len(self.chain), MAX_DEPTH, "levels deep")
                below, checks = self.measure(leaf.rule)
            deepest = max(deepest, depth + below)
            count += checks
        self.limit(deepest, MAX_DEPTH, "levels deep")
        self.limit(count, MAX_CHECKS, "checks long")
        self.chain.pop()
        self.measured[name] = deepest, count
        return deepest, count

    def limit(self, measured: int, most: int, what: str) -> None:
        if measured > most:
            raise PolicyError(
                f"policy rule {self.chain[-1]!r} is more than {most} {what}, "
                "counting the rules it refers to"
            )
