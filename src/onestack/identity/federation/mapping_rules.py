"""The mapping rules of federation: from what an identity provider asserts to who may log in here.

A rule is `{"remote": [requirements], "local": [who that is]}`. All requirements of a rule must be
met; those without any_one_of or not_any_of also capture values, which `{0}`, `{1}`, ... stand for
in the local part. All rules that match add up, and the first user that they name is the user.
"""

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import product
from typing import Literal, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from onestack.identity.federation import pattern
from onestack.identity.federation.mapping_language import (
    PLACEHOLDER,
    DomainReference,
    InvalidMapping,
    Local,
    LocalGroup,
    LocalProject,
    MappingRules,
    Requirement,
    Rule,
    validate,
)

__all__ = [
    "AssertionRefused",
    "InvalidMapping",
    "MappedDomain",
    "MappedGroup",
    "MappedIdentity",
    "MappedProject",
    "MappedUser",
    "MappingFailed",
    "MappingRules",
    "NoRuleMatched",
    "UserNotMapped",
    "evaluate",
    "validate",
]

LONGEST_ASSERTION = 64 * 1024
MOST_EXPANSIONS = 1000
MOST_MATCHING_WORK = 20_000_000

# NUL and halves of characters: no database stores them, and no id can be made of them.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_Captured = list[list[str]]
_Item = TypeVar("_Item", bound=Hashable)


class MappedDomain(msgspec.Struct, frozen=True):
    """A domain that a mapping names; the id goes first where both are given."""

    id: str | None = None
    name: str | None = None


class MappedUser(msgspec.Struct, frozen=True):
    """The user; without a domain it belongs to the identity provider's."""

    type: Literal["ephemeral", "local"]
    id: str | None
    name: str | None
    email: str | None = None
    domain: MappedDomain | None = None


class MappedGroup(msgspec.Struct, frozen=True):
    """A group by name."""

    name: str
    domain: MappedDomain


class MappedProject(msgspec.Struct, frozen=True):
    """A project and the roles in it; without a domain it belongs to the identity provider's."""

    name: str
    domain: MappedDomain | None
    roles: tuple[str, ...]


class MappedIdentity(msgspec.Struct, frozen=True):
    """What a mapping makes of an assertion."""

    user: MappedUser
    group_ids: tuple[str, ...] = ()
    group_names: tuple[MappedGroup, ...] = ()
    projects: tuple[MappedProject, ...] = ()


class MappingFailed(ValueError):
    """An assertion that does not become an identity."""


class NoRuleMatched(MappingFailed):
    """No rule of the mapping applies to the assertion."""


class UserNotMapped(MappingFailed):
    """Rules match, but neither they nor REMOTE_USER say who the user is."""


class AssertionRefused(MappingFailed):
    """An assertion that is too big, or that lacks what a matching rule makes use of."""


def evaluate(
    mapping: MappingRules, assertion: Mapping[str, str], mapping_id: str
) -> MappedIdentity:
    """Who the assertion's user is here; a MappingFailed error when that cannot be said."""
    matched = [
        (local, captured)
        for rule, captured in _matching(mapping.rules, _values(assertion))
        for local in rule.local
    ]
    if not matched:
        raise NoRuleMatched(
            "Could not map any federated user properties to identity values. "
            f"No rule of mapping {mapping_id} matches the assertion."
        )
    entries = [_Entry(local, captured, mapping.schema_version) for local, captured in matched]
    user = _user(entries, assertion.get("REMOTE_USER"))
    if user.type == "local":
        # A local user has their own groups and roles: a mapping adds none.
        return MappedIdentity(user)
    return MappedIdentity(
        user,
        _distinct(group_id for entry in entries for group_id in entry.group_ids()),
        _distinct(group for entry in entries for group in entry.group_names()),
        _merged(project for entry in entries for project in entry.projects()),
    )


def _values(assertion: Mapping[str, str]) -> dict[str, list[str]]:
    texts = {name: text for name, text in assertion.items() if isinstance(text, str)}
    if sum(map(len, texts.values())) > LONGEST_ASSERTION:
        raise AssertionRefused(f"The assertion is longer than {LONGEST_ASSERTION} characters.")
    if any(_UNSTORABLE.search(text) for text in texts.values()):
        raise AssertionRefused("The assertion holds characters that are not text.")
    return {name: text.split(";") for name, text in texts.items()}


def _matching(
    rules: Sequence[Rule], values: Mapping[str, list[str]]
) -> list[tuple[Rule, _Captured]]:
    work = _Work()
    found = []
    for rule in rules:
        captured = _capture(rule, values, work)
        if captured is not None:
            found.append((rule, captured))
    return found


def _capture(rule: Rule, values: Mapping[str, list[str]], work: "_Work") -> _Captured | None:
    """The values for the rule's placeholders; None when a requirement is not met."""
    captured: _Captured = []
    for requirement in rule.remote:
        asserted = values.get(requirement.type)
        if asserted is None:
            return None
        listed = work.listed(requirement, asserted)
        if requirement.any_one_of is not UNSET:
            if not listed:
                return None
        elif requirement.not_any_of is not UNSET:
            if listed:
                return None
        elif requirement.whitelist is not UNSET:
            captured.append([value for value in asserted if value in listed])
        else:
            captured.append([value for value in asserted if value not in listed])
    return captured


class _Work:
    """Compares values with conditions, and refuses to do so for ever."""

    def __init__(self) -> None:
        self._left = MOST_MATCHING_WORK

    def listed(self, requirement: Requirement, asserted: list[str]) -> set[str]:
        """The asserted values that the requirement's condition names."""
        if not requirement.conditions:
            return set()
        sources = requirement.conditions[0]
        if requirement.regex is not True:
            return set(sources).intersection(asserted)
        patterns = [pattern.compiled(source) for source in sources]
        self._left -= sum(each.size for each in patterns) * sum(len(text) + 1 for text in asserted)
        if self._left < 0:
            raise AssertionRefused("The assertion is too long for the mapping's expressions.")
        return {value for value in asserted if any(each.search(value) for each in patterns)}


class _Entry:
    """One local entry of a rule that matched, with the values for its placeholders."""

    def __init__(self, local: Local, captured: _Captured, schema_version: str) -> None:
        self.local = local
        self._captured = captured
        self._domains_are_defaults = schema_version != "1.0"

    def domain(self) -> MappedDomain | None:
        return self._domain(self.local.domain)

    def default_domain(self) -> MappedDomain | None:
        """The domain for users and projects without one, from schema version 2.0 on."""
        return self.domain() if self._domains_are_defaults else None

    def user(self) -> MappedUser | None:
        user = self.local.user
        if user is UNSET:
            return None
        return MappedUser(
            user.type,
            self._text(user.id),
            self._text(user.name),
            self._text(user.email),
            self._domain(user.domain),
        )

    def group_ids(self) -> list[str]:
        group = self.local.group
        found = [] if group is UNSET else self._expand(group.id)
        return found + self._expand_list(self.local.group_ids)

    def group_names(self) -> list[MappedGroup]:
        found: list[MappedGroup] = []
        group = self.local.group
        if group is not UNSET and (domain := self._domain(group.domain)):
            found = [MappedGroup(name, domain) for name in self._expand(group.name)]
        return found + [self._group(text) for text in self._expand_list(self.local.groups)]

    def projects(self) -> list[MappedProject]:
        found: list[MappedProject] = []
        for project in [] if self.local.projects is UNSET else self.local.projects:
            domain, roles = self._project_domain(project), self._roles(project)
            found += [MappedProject(name, domain, roles) for name in self._expand(project.name)]
        return found + self._asserted_projects()

    def _asserted_projects(self) -> list[MappedProject]:
        text = self._text(self.local.projects_json)
        if text is None:
            return []
        try:
            asserted = msgspec.json.decode(text, type=list[LocalProject])
        except msgspec.MsgspecError as error:
            raise AssertionRefused(f"The asserted projects are not understood: {error}") from None
        return [
            MappedProject(
                project.name,
                _literal_domain(project.domain) or self.default_domain(),
                _distinct(role.name for role in project.roles),
            )
            for project in asserted
        ]

    def _group(self, text: str) -> MappedGroup:
        """A group from a plain name, or from JSON as OpenStack asserts it to another cloud."""
        name, domain = text, self.domain()
        # Only without a domain of the rule's own: whoever asserts must not leave that domain,
        # nor slip past a blacklist by writing a name as JSON.
        if domain is None and text.startswith("JSON:"):
            try:
                asserted = msgspec.json.decode(text.removeprefix("JSON:"), type=LocalGroup)
            except msgspec.MsgspecError as error:
                raise AssertionRefused(f"An asserted group is not understood: {error}") from None
            name, domain = asserted.name or "", _literal_domain(asserted.domain)
        if not name or domain is None:
            raise AssertionRefused(
                "Invalid rule: both 'groups' and 'domain' keywords must be specified, "
                "or the assertion must give each group a name and a domain."
            )
        return MappedGroup(name, domain)

    def _project_domain(self, project: LocalProject) -> MappedDomain | None:
        return self._domain(project.domain) or self.default_domain()

    def _roles(self, project: LocalProject) -> tuple[str, ...]:
        return _distinct(name for role in project.roles for name in self._expand(role.name))

    def _domain(self, domain: DomainReference | UnsetType) -> MappedDomain | None:
        if domain is UNSET:
            return None
        domain_id, name = self._text(domain.id), self._text(domain.name)
        if not domain_id and not name:
            raise AssertionRefused("The assertion gives no value for a domain of the mapping.")
        return MappedDomain(domain_id, name)

    def _text(self, template: str | UnsetType) -> str | None:
        """The template with its placeholders filled; several values stay as they were asserted."""
        if template is UNSET:
            return None
        text = _fill(template, [";".join(values) for values in self._captured])
        return text if text.strip() else None

    def _expand(self, template: str | UnsetType) -> list[str]:
        """The template once for each value of its placeholders."""
        if template is UNSET:
            return []
        used = sorted({int(found[1]) for found in PLACEHOLDER.finditer(template) if found[1]})
        count = 1
        for number in used:
            count *= len(self._captured[number])
        if count > MOST_EXPANSIONS:
            raise AssertionRefused(f"The assertion makes {count} values of {template!r}.")
        found = []
        for chosen in product(*(self._captured[number] for number in used)):
            if all(value.strip() for value in chosen):
                found.append(_fill(template, dict(zip(used, chosen, strict=True))))
        return [text for text in found if text.strip()]

    def _expand_list(self, template: str | UnsetType) -> list[str]:
        """As `_expand`, of each of the texts that semicolons separate in the template."""
        if template is UNSET:
            return []
        return [text for part in template.split(";") for text in self._expand(part)]


def _fill(template: str, values: Sequence[str] | Mapping[int, str]) -> str:
    # One pass, so that braces in a value are never taken for placeholders.
    def replacement(found: re.Match[str]) -> str:
        return found[0][0] if found[1] is None else values[int(found[1])]

    return PLACEHOLDER.sub(replacement, template)


def _literal_domain(domain: DomainReference | UnsetType) -> MappedDomain | None:
    if domain is UNSET or not (domain.id or domain.name):
        return None
    return MappedDomain(domain.id or None, domain.name or None)


def _user(entries: Sequence[_Entry], remote_user: str | None) -> MappedUser:
    """The first user that an entry names, with what REMOTE_USER and defaults add."""
    holder = next((entry for entry in entries if entry.local.user is not UNSET), entries[-1])
    user = holder.user() or MappedUser("ephemeral", None, None)
    domain = user.domain or holder.default_domain() or entries[-1].default_domain()
    if user.type == "local":
        if not user.id and not (user.name and domain):
            raise UserNotMapped("A local user takes an id, or a name and a domain.")
        return msgspec.structs.replace(user, domain=domain)
    name = user.name or remote_user or user.id
    if not name:
        raise UserNotMapped(
            "Could not map user while setting ephemeral user identity. Either mapping rules must "
            "specify user id/name or REMOTE_USER environment variable must be set."
        )
    return msgspec.structs.replace(user, id=quote(user.id or name), name=name, domain=domain)


def _distinct(items: Iterable[_Item]) -> tuple[_Item, ...]:
    return tuple(dict.fromkeys(items))


def _merged(projects: Iterable[MappedProject]) -> tuple[MappedProject, ...]:
    """Each project once, with the roles of all its mentions."""
    roles: dict[tuple[str, MappedDomain | None], list[str]] = {}
    for project in projects:
        roles.setdefault((project.name, project.domain), []).extend(project.roles)
    return tuple(
        MappedProject(name, domain, _distinct(names)) for (name, domain), names in roles.items()
    )
