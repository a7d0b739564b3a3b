"""The language of mapping rules: its shapes, and what is refused before it is ever stored."""

import re
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from onestack.identity.federation import pattern

SCHEMA_VERSIONS = ("1.0", "2.0", "3.0")
MOST_RULES = 500
# A doubled brace stands for a brace, as in a format string.
PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([0-9]{1,3})\}|[{}]")


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a mapping, which may hold nothing that the language does not know."""


class DomainReference(Strict, frozen=True):
    """A domain, by id or by name."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class RoleReference(Strict, frozen=True):
    """A role, by name."""

    name: str


class LocalUser(Strict, frozen=True):
    """Who the user is here; the texts may hold placeholders."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    domain: DomainReference | UnsetType = UNSET
    type: Literal["ephemeral", "local"] = "ephemeral"


class LocalGroup(Strict, frozen=True):
    """A group, by id or by name and domain."""

    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    domain: DomainReference | UnsetType = UNSET


class LocalProject(Strict, frozen=True):
    """A project that is made when it is missing, and the roles in it."""

    name: str
    roles: list[RoleReference]
    domain: DomainReference | UnsetType = UNSET


class Local(Strict, frozen=True):
    """One entry of a rule's local part."""

    user: LocalUser | UnsetType = UNSET
    group: LocalGroup | UnsetType = UNSET
    groups: str | UnsetType = UNSET
    group_ids: str | UnsetType = UNSET
    projects: list[LocalProject] | UnsetType = UNSET
    projects_json: str | UnsetType = UNSET
    domain: DomainReference | UnsetType = UNSET


class Requirement(Strict, frozen=True):
    """What a rule asks of one attribute."""

    type: str
    any_one_of: list[str] | UnsetType = UNSET
    not_any_of: list[str] | UnsetType = UNSET
    blacklist: list[str] | UnsetType = UNSET
    whitelist: list[str] | UnsetType = UNSET
    regex: bool | UnsetType = UNSET

    @property
    def conditions(self) -> list[list[str]]:
        found = (self.any_one_of, self.not_any_of, self.blacklist, self.whitelist)
        return [values for values in found if values is not UNSET]

    @property
    def captures(self) -> bool:
        """Whether placeholders count this requirement."""
        return self.any_one_of is UNSET and self.not_any_of is UNSET


class Rule(Strict, frozen=True):
    """Requirements, and who meets them."""

    local: list[Local]
    remote: list[Requirement]


class MappingRules(msgspec.Struct, frozen=True):
    """A mapping that has been checked."""

    schema_version: str
    rules: list[Rule]


class InvalidMapping(ValueError):
    """Rules that are not a mapping; the text says where and why."""


def validate(rules: object, schema_version: str | None = None) -> MappingRules:
    """The checked form of a mapping's rules; InvalidMapping when they break the language."""
    version = schema_version if schema_version is not None else SCHEMA_VERSIONS[0]
    if version not in SCHEMA_VERSIONS:
        known = ", ".join(SCHEMA_VERSIONS)
        raise InvalidMapping(f"Mapping schema version {version!r} is not one of {known}.")
    try:
        parsed = msgspec.convert(rules, list[Rule])
    except msgspec.ValidationError as error:
        raise InvalidMapping(f"Invalid mapping rules: {error}") from None
    if not 1 <= len(parsed) <= MOST_RULES:
        raise InvalidMapping(f"Invalid mapping rules: there must be 1 to {MOST_RULES} rules.")
    for number, rule in enumerate(parsed):
        try:
            _check_rule(rule, version)
        except ValueError as error:
            raise InvalidMapping(f"Invalid mapping rules: rule {number}: {error}") from None
    return MappingRules(version, parsed)


def _check_rule(rule: Rule, version: str) -> None:
    if not rule.remote:
        raise ValueError("`remote` must have at least one requirement.")
    for requirement in rule.remote:
        _check_requirement(requirement)
    for local in rule.local:
        _check_local(local, version)
    captures = sum(requirement.captures for requirement in rule.remote)
    _check_placeholders(msgspec.to_builtins(rule.local), captures)


def _check_requirement(requirement: Requirement) -> None:
    if len(requirement.conditions) > 1:
        raise ValueError(
            f"the requirement on {requirement.type!r} has more than one of "
            "any_one_of, not_any_of, blacklist and whitelist."
        )
    if requirement.regex is not UNSET and not requirement.conditions:
        raise ValueError(f"the requirement on {requirement.type!r} has `regex` but no condition.")
    if requirement.regex is True:
        for source in requirement.conditions[0]:
            try:
                pattern.compiled(source)
            except pattern.PatternRefused as error:
                raise ValueError(f"the regular expression {source!r} is refused: {error}") from None


def _check_local(local: Local, version: str) -> None:
    group = local.group
    if group is not UNSET:
        by_id = group.id is not UNSET and group.name is UNSET and group.domain is UNSET
        by_name = group.id is UNSET and group.name is not UNSET and group.domain is not UNSET
        if not by_id and not by_name:
            raise ValueError("`group` takes either an `id`, or a `name` and a `domain`.")
    projects = [] if local.projects is UNSET else local.projects
    if version == "1.0" and any(project.domain is not UNSET for project in projects):
        raise ValueError("the `domain` of a project needs schema version 2.0.")
    if version != "3.0" and local.projects_json is not UNSET:
        raise ValueError("`projects_json` needs schema version 3.0.")
    if local.projects_json is not UNSET and not re.fullmatch(r"\{[0-9]+\}", local.projects_json):
        raise ValueError("`projects_json` must be one placeholder, like {0}.")
    holders: list[LocalUser | LocalGroup | LocalProject | Local] = [local, *projects]
    holders += [holder for holder in (local.user, group) if holder is not UNSET]
    for holder in holders:
        domain = holder.domain
        if domain is not UNSET and domain.id is UNSET and domain.name is UNSET:
            raise ValueError("a `domain` takes an `id` or a `name`.")


def _check_placeholders(value: object, captures: int) -> None:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            _check_placeholders(item, captures)
    elif isinstance(value, str):
        for found in PLACEHOLDER.finditer(value):
            if found[0] in ("{", "}"):
                raise ValueError(f"{value!r}: write {{{{ and }}}} for braces that are no {{0}}.")
            if found[1] is not None and int(found[1]) >= captures:
                raise ValueError(
                    f"{value!r} refers to a remote match that doesn't exist: the rule has "
                    f"{captures} requirements without any_one_of or not_any_of."
                )
