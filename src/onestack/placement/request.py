"""The query string of a search, as the request that it stands for."""

import re
from collections.abc import Mapping

from onestack.core.errors import BadRequest
from onestack.core.shapes import Version
from onestack.placement import query
from onestack.placement.candidates import ANYTHING, Group, Request, Wanted
from onestack.placement.names import INTEGER_MAX

# Parameters of the whole request, and of its groups, by the version that brought them.
WHOLE = {"limit": 16, "group_policy": 25, "root_required": 35, "same_subtree": 36}
UNSUFFIXED = {"resources": 10, "required": 17, "member_of": 21, "in_tree": 31}
SUFFIXED = {"resources": 25, "required": 25, "member_of": 25, "in_tree": 31}
KEY = re.compile(r"(resources|required|member_of|in_tree)([a-zA-Z0-9_-]{0,64})")
NUMBER = re.compile(r"[1-9][0-9]*")
POSITIVE = re.compile(r"[1-9][0-9]*")
POLICIES = ("none", "isolate")

Values = Mapping[str, list[str]]


class UnexpectedKey(query.BadQuery):
    message = (
        "Invalid query string parameters: Additional properties are not allowed "
        "('{key}' was unexpected)"
    )


def read(values: Values, version: Version) -> Request:
    """The request; whatever is wrong with it is raised."""
    parts = _parts(values, version)
    groups = {suffix: _group(suffix, each, version) for suffix, each in parts.items()}
    subtrees = _subtrees(values, groups)
    _check_groups(parts, subtrees, version)
    policy = _policy(values)
    granular = [suffix for suffix, group in groups.items() if suffix and group.resources]
    if len(granular) > 1 and policy is None:
        raise BadRequest(
            'The "group_policy" parameter is required when specifying more than one '
            '"resources{N}" parameter.'
        )
    return Request(
        groups=groups,
        is_isolated=policy == "isolate",
        root_traits=_root_traits(values),
        same_subtrees=subtrees,
        limit=_limit(values),
        is_nested=version >= (1, 29),
        names_groups=version >= (1, 34),
    )


def _parts(values: Values, version: Version) -> dict[str, dict[str, list[str]]]:
    """The parameters of each group by its suffix."""
    found: dict[str, dict[str, list[str]]] = {}
    for key, given in values.items():
        if version.minor >= WHOLE.get(key, INTEGER_MAX):
            continue
        matched = KEY.fullmatch(key)
        if matched is None:
            raise UnexpectedKey(key=key)
        name, suffix = matched.groups()
        known = SUFFIXED if suffix else UNSUFFIXED
        is_number = NUMBER.fullmatch(suffix) is not None
        if version.minor < known[name] or (suffix and version < (1, 33) and not is_number):
            raise UnexpectedKey(key=key)
        found.setdefault(suffix, {})[name] = given
    return found


def _group(suffix: str, part: Values, version: Version) -> Group:
    traits = query.traits(part["required"], version) if "required" in part else ANYTHING
    query.refuse_contradiction(traits, f"required{suffix}")
    member_of = part.get("member_of")
    return Group(
        resources=query.resources(part["resources"][-1]) if "resources" in part else {},
        traits=traits,
        aggregates=query.aggregates(member_of, version) if member_of else ANYTHING,
        in_tree=query.tree(part["in_tree"][-1]) if "in_tree" in part else None,
    )


def _check_groups(
    parts: Mapping[str, Values], subtrees: tuple[frozenset[str], ...], version: Version
) -> None:
    """Each group must ask for resources, unless it is a place in a subtree."""
    if version < (1, 25) and "resources" not in parts.get("", {}):
        raise query.BadQuery(reason="'resources' is a required property")
    if not parts:
        raise query.MissingValue(
            "At least one request group (`resources` or `resources{$S}`) is required."
        )
    bare = [suffix for suffix, part in parts.items() if "resources" not in part]
    if len(bare) == len(parts) and version >= (1, 36) and "" not in bare:
        raise query.MissingValue("There must be at least one resources or resources[$S] parameter.")
    placed = frozenset().union(*subtrees)
    for suffix in bare:
        if version >= (1, 36) and suffix:
            if suffix not in placed:
                raise query.BadValue(
                    "Resourceless suffixed group request should be specified in `same_subtree` "
                    f"query param: bad group(s) - {suffix}."
                )
            continue
        _refuse_orphans(parts, bare)


def _refuse_orphans(parts: Mapping[str, Values], bare: list[str]) -> None:
    for name, what in (("required", "traits"), ("member_of", "member_of")):
        keys = [name + suffix for suffix in bare if name in parts[suffix]]
        if keys:
            raise BadRequest(
                f"All {what} parameters must be associated with resources. "
                f"Found the following orphaned {what} keys: {', '.join(keys)}"
            )
    raise BadRequest("All request groups must specify resources.")


def _subtrees(values: Values, groups: Mapping[str, Group]) -> tuple[frozenset[str], ...]:
    found = []
    for value in values.get("same_subtree", ()):
        suffixes = [each.strip() for each in value.split(",")]
        if "" in suffixes:
            raise query.BadValue(
                "Empty string (unsuffixed group) can not be specified in `same_subtree`"
            )
        unknown = sorted(set(suffixes) - groups.keys())
        if unknown:
            names = ", ".join(unknown)
            raise query.BadValue(
                f"Real suffixes should be specified in `same_subtree`: {names} not found."
            )
        found.append(frozenset(suffixes))
    return tuple(found)


def _root_traits(values: Values) -> Wanted:
    given = values.get("root_required", [])
    if len(given) > 1:
        raise query.DuplicateKey(name="root_required")
    if not given:
        return ANYTHING
    traits = query.traits(given, Version(1, 38))
    query.refuse_contradiction(traits, "root_required")
    return traits


def _policy(values: Values) -> str | None:
    given = values.get("group_policy")
    if not given:
        return None
    if given[0] not in POLICIES:
        raise query.BadQuery(reason=f"{given[0]!r} is not one of {list(POLICIES)}")
    return given[0]


def _limit(values: Values) -> int | None:
    given = values.get("limit")
    if not given:
        return None
    if POSITIVE.fullmatch(given[0]) is None:
        raise query.BadQuery(reason=f"{given[0]!r} does not match '^[1-9][0-9]*$' (limit)")
    return min(int(given[0][:10]), INTEGER_MAX)
