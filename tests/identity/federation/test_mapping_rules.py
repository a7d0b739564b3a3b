"""Mapping rules: what is accepted, and what assertions become."""

import time
from typing import Any

import pytest

from onestack.identity.federation.mapping_rules import (
    AssertionRefused,
    InvalidMapping,
    MappedDomain,
    MappedGroup,
    MappedIdentity,
    MappedProject,
    NoRuleMatched,
    UserNotMapped,
    evaluate,
    validate,
)

USER = {"user": {"name": "{0}"}}
NAMED = {"type": "UserName"}
HERE = MappedDomain(id="d1")


def rule(local: Any, *remote: Any) -> dict[str, Any]:
    return {"local": local if isinstance(local, list) else [local], "remote": list(remote)}


def mapped(rules: Any, version: str | None = None, /, **assertion: str) -> MappedIdentity:
    rules = rules if isinstance(rules, list) else [rules]
    return evaluate(validate(rules, version), assertion, "m1")


# The language.


@pytest.mark.parametrize(
    "local",
    [
        {"user": {"id": "x", "name": "{0}", "email": "e", "type": "local"}},
        {"user": {"name": "{0}", "type": "ephemeral", "domain": {"name": "d"}}},
        {"user": {"name": "{0}", "domain": {"id": "d", "name": "n"}}},
        {"user": {}},
        {"group": {"id": "0cd5e9"}},
        {"group": {"name": "g", "domain": {"name": "d"}}},
        {"group": {"name": "g", "domain": {"id": "d"}}},
        {"groups": "{0}", "domain": {"id": "d"}},
        {"groups": "{0}"},
        {"group_ids": "{0}"},
        {"projects": [{"name": "Production", "roles": [{"name": "reader"}]}]},
        {"domain": {"id": "d"}},
        {},
    ],
)
def test_local_parts_of_the_language(local: Any) -> None:
    assert len(validate([rule(local, NAMED)], "1.0").rules) == 1


@pytest.mark.parametrize(
    "requirement",
    [
        {"type": "a"},
        {"type": "a", "any_one_of": ["x"]},
        {"type": "a", "any_one_of": []},
        {"type": "a", "not_any_of": ["x"], "regex": True},
        {"type": "a", "not_any_of": ["("], "regex": False},
        {"type": "a", "blacklist": [".*x$"], "regex": True},
        {"type": "a", "whitelist": ["x"]},
    ],
)
def test_remote_parts_of_the_language(requirement: Any) -> None:
    assert validate([rule({"group": {"id": "g"}}, requirement)]).schema_version == "1.0"


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ([], "1 to"),
        ({}, "Expected `array`"),
        (None, "Expected `array`"),
        ("rules", "Expected `array`"),
        ([{"local": [USER]}], "remote"),
        ([{"remote": [NAMED]}], "local"),
        ([rule(USER)], "at least one requirement"),
        ([{**rule(USER, NAMED), "more": 1}], "more"),
        ([rule({"user": "name"}, {"UserName": "bob"})], r"local\[0\]"),
        ([rule(USER, {"any_one_of": ["x"]})], "type"),
        ([rule(USER, {"type": 5})], "Expected `str`"),
        ([rule(USER, {**NAMED, "blacklist": None})], "blacklist"),
        ([rule(USER, {**NAMED, "whitelist": [5]})], "Expected `str`"),
        ([rule(USER, {**NAMED, "whitelist": "x"})], "Expected `array`"),
        ([rule(USER, {**NAMED, "regex": True})], "no condition"),
        ([rule(USER, {**NAMED, "regex": "yes", "blacklist": []})], "Expected `bool`"),
        ([rule(USER, {**NAMED, "invalid_type": "x"})], "invalid_type"),
        ([rule(USER, {**NAMED, "any_one_of": ["x"], "not_any_of": ["y"]})], "more than one"),
        ([rule(USER, {**NAMED, "whitelist": ["x"], "blacklist": ["y"]})], "more than one"),
        ([rule({"user": {"name": "x", "type": "random"}}, NAMED)], "random"),
        ([rule({"user": {"name": "x", "shell": "/bin/sh"}}, NAMED)], "shell"),
        ([rule({"user": {"name": "x", "domain": "d"}}, NAMED)], "Expected `object`"),
        ([rule({"user": {"name": "x", "domain": {"id": "d", "x": "y"}}}, NAMED)], "`x`"),
        ([rule({"user": {"name": "x", "domain": {}}}, NAMED)], "takes an `id` or a `name`"),
        ([rule({"group": {"name": "g"}}, NAMED)], "`group` takes"),
        ([rule({"group": {"id": "g", "domain": {"id": "d"}}}, NAMED)], "`group` takes"),
        ([rule({"group": {}}, NAMED)], "`group` takes"),
        ([rule({"groups": ["{0}"]}, NAMED)], "Expected `str`"),
        ([rule({"projects": [{"name": "p"}]}, NAMED)], "roles"),
        ([rule({"projects": [{"roles": []}]}, NAMED)], "name"),
        ([rule({"projects": [{"name": "p", "roles": [{"id": "r"}]}]}, NAMED)], "`id`"),
        ([rule({"user": {"name": "{1}"}}, NAMED)], "doesn't exist"),
        ([rule({"user": {"name": "{0}"}}, {**NAMED, "any_one_of": ["x"]})], "doesn't exist"),
        ([rule({"projects": [{"name": "p", "roles": [{"name": "{7}"}]}]}, NAMED)], "doesn't exist"),
        ([rule({"user": {"name": "{name}"}}, NAMED)], "braces"),
        ([rule({"user": {"name": "{0.__class__}"}}, NAMED)], "braces"),
        ([rule({"user": {"name": "{0!r:>9999999}"}}, NAMED)], "braces"),
        ([rule(USER, {**NAMED, "whitelist": ["("], "regex": True})], "without its"),
        ([rule(USER, {**NAMED, "whitelist": [r"(a)\1"], "regex": True})], "refused"),
        ([rule(USER, NAMED)] * 501, "1 to 500"),
    ],
)
def test_what_is_not_the_language_is_refused_with_a_reason(rules: Any, complaint: str) -> None:
    with pytest.raises(InvalidMapping, match=complaint):
        validate(rules)


def test_schema_versions_bring_their_own_fields() -> None:
    project = {"name": "p", "domain": {"id": "d"}, "roles": [{"name": "r"}]}
    with pytest.raises(InvalidMapping, match=r"2\.0"):
        validate([rule({"projects": [project]}, NAMED)], "1.0")
    assert validate([rule({"projects": [project]}, NAMED)], "2.0").schema_version == "2.0"
    with pytest.raises(InvalidMapping, match=r"3\.0"):
        validate([rule({"projects_json": "{0}"}, NAMED)], "2.0")
    assert validate([rule({"projects_json": "{0}"}, NAMED)], "3.0").schema_version == "3.0"
    with pytest.raises(InvalidMapping, match="one placeholder"):
        validate([rule({"projects_json": "[]"}, NAMED)], "3.0")
    for version in ("", "1", "4.0"):
        with pytest.raises(InvalidMapping, match="not one of"):
            validate([rule(USER, NAMED)], version)


# Users.


def test_a_user_is_put_together_from_several_attributes() -> None:
    user = mapped(
        rule(
            {"user": {"name": "{0} {1}", "email": "{2}"}},
            {"type": "FirstName"},
            {"type": "LastName"},
            {"type": "Email"},
        ),
        FirstName="Jane",
        LastName="Doe",
        Email="jane@example.com",
    ).user
    assert (user.name, user.email, user.type) == ("Jane Doe", "jane@example.com", "ephemeral")
    assert (user.id, user.domain) == ("Jane%20Doe", None)


def test_a_user_by_id_is_named_after_it() -> None:
    user = mapped(rule({"user": {"id": "{0}"}}, NAMED), UserName="a b@x").user
    assert (user.id, user.name) == ("a%20b%40x", "a b@x")


def test_id_and_name_may_differ() -> None:
    user = mapped(rule({"user": {"id": "7", "name": "{0}"}}, NAMED), UserName="jane").user
    assert (user.id, user.name) == ("7", "jane")


def test_remote_user_steps_in_for_a_name_that_is_missing() -> None:
    groups = rule({"group": {"id": "g"}}, {"type": "kind"})
    user = mapped(groups, kind="x", REMOTE_USER="jane").user
    assert (user.id, user.name, user.type) == ("jane", "jane", "ephemeral")
    by_id = mapped(rule({"user": {"id": "7"}}, NAMED), UserName="x", REMOTE_USER="jane").user
    assert (by_id.id, by_id.name) == ("7", "jane")
    named = mapped(rule(USER, NAMED), UserName="bob", REMOTE_USER="jane").user
    assert named.name == "bob"


@pytest.mark.parametrize("assertion", [{"kind": "x"}, {"kind": "x", "REMOTE_USER": ""}])
def test_without_any_name_there_is_no_user(assertion: dict[str, str]) -> None:
    with pytest.raises(UserNotMapped, match="REMOTE_USER"):
        mapped(rule({"group": {"id": "g"}}, {"type": "kind"}), **assertion)


def test_an_empty_name_is_no_name() -> None:
    with pytest.raises(UserNotMapped):
        mapped(rule(USER, NAMED), UserName="")


def test_a_local_user_keeps_only_what_it_has_here() -> None:
    local = {
        "user": {"name": "{0}", "type": "local", "domain": {"name": "Local"}},
        "group": {"id": "g"},
        "projects": [{"name": "p", "roles": [{"name": "admin"}]}],
    }
    identity = mapped(rule(local, NAMED), UserName="jane")
    assert identity.user.type == "local"
    assert (identity.user.name, identity.user.id) == ("jane", None)
    assert identity.user.domain == MappedDomain(name="Local")
    assert (identity.group_ids, identity.projects) == ((), ())


def test_a_local_user_is_never_named_by_remote_user() -> None:
    for user in ({"type": "local"}, {"type": "local", "domain": {"id": "d"}}):
        with pytest.raises(UserNotMapped):
            mapped(rule({"user": user}, NAMED), UserName="x", REMOTE_USER="admin")
    with pytest.raises(UserNotMapped):
        mapped(rule({"user": {"type": "local", "name": "{0}"}}, NAMED), UserName="admin")


def test_the_first_user_wins() -> None:
    rules = [
        rule([{"user": {"name": "first"}}, {"user": {"name": "second"}}], NAMED),
        rule({"user": {"name": "third"}}, NAMED),
    ]
    assert mapped(rules, UserName="x").user.name == "first"


def test_several_values_in_a_name_stay_as_asserted() -> None:
    assert mapped(rule(USER, NAMED), UserName="Doe; Jane").user.name == "Doe; Jane"


def test_values_are_never_read_as_placeholders() -> None:
    local = {"user": {"name": "{0}", "email": "{{{1}}}"}}
    user = mapped(rule(local, NAMED, {"type": "other"}), UserName="{1}{{", other="secret").user
    assert (user.name, user.email) == ("{1}{{", "{secret}")


def test_a_domain_may_be_asserted() -> None:
    local = {"user": {"name": "{0}", "domain": {"name": "{1}"}}}
    user = mapped(rule(local, NAMED, {"type": "domain"}), UserName="x", domain="acme").user
    assert user.domain == MappedDomain(name="acme")
    with pytest.raises(AssertionRefused, match="domain"):
        mapped(rule(local, NAMED, {"type": "domain"}), UserName="x", domain="")


# Which rules match.


def test_no_rule_matches() -> None:
    rules = validate([rule(USER, NAMED)])
    for assertion in ({}, {"Username": "x"}, {"REMOTE_USER": "x"}):
        with pytest.raises(NoRuleMatched, match="m1"):
            evaluate(rules, assertion, "m1")


CONTRACTORS = [
    rule({"user": {"name": "{0}"}}, NAMED),
    rule(
        {"group": {"id": "staff"}},
        {"type": "orgPersonType", "not_any_of": ["Contractor", "SubContractor"]},
    ),
    rule(
        {"group": {"id": "contractors"}},
        {"type": "orgPersonType", "any_one_of": ["Contractor", "SubContractor"]},
    ),
]


@pytest.mark.parametrize(
    ("kind", "groups"),
    [
        ("Employee", ("staff",)),
        ("Contractor", ("contractors",)),
        ("Employee;SubContractor", ("contractors",)),
        ("contractor", ("staff",)),
    ],
)
def test_rules_add_up(kind: str, groups: tuple[str, ...]) -> None:
    identity = mapped(CONTRACTORS, UserName="x", orgPersonType=kind)
    assert identity.group_ids == groups


def test_not_any_of_an_attribute_that_is_missing_does_not_match() -> None:
    assert mapped(CONTRACTORS, UserName="x").group_ids == ()


def test_all_requirements_of_a_rule_must_be_met() -> None:
    both = rule(
        {"user": {"name": "{0}"}, "group": {"id": "0cd5e9"}},
        NAMED,
        {"type": "canada", "not_any_of": [".*@naww.com$"], "regex": True},
        {"type": "usa", "any_one_of": [".*@yeah.com$"], "regex": True},
    )
    assert mapped(both, UserName="x", canada="a@b.com", usa="c@yeah.com").group_ids == ("0cd5e9",)
    for canada, usa in (("a@naww.com", "c@yeah.com"), ("a@b.com", "c@yeah.com.evil")):
        with pytest.raises(NoRuleMatched):
            mapped(both, UserName="x", canada=canada, usa=usa)


def test_conditions_do_not_count_for_placeholders() -> None:
    identity = mapped(
        rule(
            {"user": {"name": "{0}", "email": "{1}"}},
            NAMED,
            {"type": "kind", "any_one_of": ["a"]},
            {"type": "Email"},
        ),
        UserName="jane",
        kind="a",
        Email="j@x",
    )
    assert (identity.user.name, identity.user.email) == ("jane", "j@x")


def test_an_expression_is_one_only_when_it_says_so() -> None:
    dots = {"type": "mail", "any_one_of": [".*@example.com$"]}
    with pytest.raises(NoRuleMatched):
        mapped(rule({"user": {"name": "x"}}, dots), mail="a@example.com")
    assert mapped(rule({"user": {"name": "x"}}, {**dots, "regex": True}), mail="a@example.com")


# Groups.

GROUPS = "Developer;Employee;Manager"


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ({}, ["Developer", "Employee", "Manager"]),
        ({"whitelist": ["Manager", "Developer", "Root"]}, ["Developer", "Manager"]),
        ({"whitelist": []}, []),
        ({"whitelist": ["^(?:Dev|Man)", "x"], "regex": True}, ["Developer", "Manager"]),
        ({"whitelist": ["^(?:Dev|Man)"]}, []),
        ({"blacklist": ["Manager"]}, ["Developer", "Employee"]),
        ({"blacklist": []}, ["Developer", "Employee", "Manager"]),
        ({"blacklist": [".*er$"], "regex": True}, ["Employee"]),
        ({"blacklist": [".*"], "regex": True}, []),
    ],
)
def test_whitelists_and_blacklists(condition: Any, names: list[str]) -> None:
    identity = mapped(
        rule([USER, {"groups": "{1}", "domain": {"id": "d1"}}], NAMED, {"type": "g", **condition}),
        UserName="x",
        g=GROUPS,
    )
    assert identity.group_names == tuple(MappedGroup(name, HERE) for name in names)


def test_whitelist_and_blacklist_in_one_rule() -> None:
    identity = mapped(
        rule(
            [
                USER,
                {"groups": "{1}", "domain": {"id": "d1"}},
                {"groups": "{2}", "domain": {"name": "two"}},
            ],
            NAMED,
            {"type": "g", "whitelist": ["Employee"]},
            {"type": "g", "blacklist": ["Employee", "Manager"]},
        ),
        UserName="x",
        g=GROUPS,
    )
    assert identity.group_names == (
        MappedGroup("Employee", HERE),
        MappedGroup("Developer", MappedDomain(name="two")),
    )


def test_a_value_slips_past_no_blacklist_by_dressing_up() -> None:
    rules = rule(
        [USER, {"groups": "{1}", "domain": {"id": "d1"}}],
        NAMED,
        {"type": "g", "blacklist": ["admin"]},
    )
    for disguise in ("['admin']", 'JSON:{"name":"admin","domain":{"id":"d1"}}', " admin", "{0}"):
        names = [group.name for group in mapped(rules, UserName="admin", g=disguise).group_names]
        assert names == [disguise]


@pytest.mark.parametrize("local", [{"group_ids": "{1}"}, {"group": {"id": "{1}"}}])
def test_group_ids_take_several_values(local: Any) -> None:
    identity = mapped(
        rule([USER, local], NAMED, {"type": "g", "blacklist": ["c"]}), UserName="x", g="a;b;c;a"
    )
    assert identity.group_ids == ("a", "b")


def test_a_group_name_takes_several_values() -> None:
    local = {"user": {"name": "{0}"}, "group": {"name": "os-{1}", "domain": {"id": "d1"}}}
    identity = mapped(rule(local, NAMED, {"type": "g"}), UserName="x", g="dev;ops;;1234")
    assert [group.name for group in identity.group_names] == ["os-dev", "os-ops", "os-1234"]
    assert {group.domain for group in identity.group_names} == {HERE}


def test_fixed_groups_are_separated_by_semicolons() -> None:
    local = [USER, {"groups": "a;b;team {0}", "domain": {"id": "d1"}}]
    names = [group.name for group in mapped(rule(local, NAMED), UserName="x").group_names]
    assert names == ["a", "b", "team x"]


def test_groups_without_a_domain_must_bring_one() -> None:
    rules = rule([USER, {"groups": "{1}"}], NAMED, {"type": "openstack_groups"})
    asserted = 'JSON:{"name":"g1","domain":{"name":"x"}};JSON:{"name":"g2","domain":{"id":"y"}}'
    identity = mapped(rules, UserName="x", openstack_groups=asserted)
    assert identity.group_names == (
        MappedGroup("g1", MappedDomain(name="x")),
        MappedGroup("g2", MappedDomain(id="y")),
    )
    for broken in (
        "g1",
        'JSON:{"name":"g1"}',
        "JSON:{",
        "JSON:[]",
        'JSON:{"name":5,"domain":{"id":"y"}}',
        'JSON:{"name":"g1","domain":{}}',
        "JSON:" + "[" * 5000,
    ):
        with pytest.raises(AssertionRefused):
            mapped(rules, UserName="x", openstack_groups=broken)


def test_no_groups_are_fine() -> None:
    rules = rule([USER, {"groups": "{1}"}], NAMED, {"type": "g", "whitelist": ["a"]})
    assert mapped(rules, UserName="x", g="b").group_names == ()


# Projects.


def test_projects_are_provisioned_with_roles() -> None:
    local = [
        USER,
        {
            "projects": [
                {"name": "Production", "roles": [{"name": "reader"}]},
                {"name": "Project for {0}", "roles": [{"name": "admin"}, {"name": "{1}"}]},
            ]
        },
        {"group": {"name": "Finance", "domain": {"id": "d1"}}},
    ]
    identity = mapped(rule(local, NAMED, {"type": "r"}), UserName="jsmith", r="a;b;admin")
    assert identity.projects == (
        MappedProject("Production", None, ("reader",)),
        MappedProject("Project for jsmith", None, ("admin", "a", "b")),
    )
    assert identity.group_names == (MappedGroup("Finance", HERE),)


def test_projects_of_all_rules_add_up() -> None:
    def giving(role: str) -> Any:
        return rule({"projects": [{"name": "p", "roles": [{"name": role}]}]}, NAMED)

    identity = mapped([rule(USER, NAMED), giving("a"), giving("b"), giving("a")], UserName="x")
    assert identity.projects == (MappedProject("p", None, ("a", "b")),)


def test_a_domain_is_the_default_from_the_second_schema_on() -> None:
    rules = rule(
        {
            "user": {"name": "{0}"},
            "projects": [{"name": "p", "roles": []}],
            "domain": {"id": "d1"},
        },
        NAMED,
    )
    first, second = mapped(rules, "1.0", UserName="x"), mapped(rules, "2.0", UserName="x")
    assert (first.user.domain, first.projects[0].domain) == (None, None)
    assert (second.user.domain, second.projects[0].domain) == (HERE, HERE)


def test_own_domains_override_the_default_one() -> None:
    rules = rule(
        {
            "user": {"name": "{0}", "domain": {"name": "u"}},
            "projects": [{"name": "p", "domain": {"name": "q"}, "roles": []}],
            "group": {"name": "g", "domain": {"name": "r"}},
            "domain": {"id": "d1"},
        },
        NAMED,
    )
    identity = mapped(rules, "2.0", UserName="x")
    assert identity.user.domain == MappedDomain(name="u")
    assert identity.projects[0].domain == MappedDomain(name="q")
    assert identity.group_names[0].domain == MappedDomain(name="r")


def test_projects_may_be_asserted_as_json_from_the_third_schema_on() -> None:
    rules = rule(
        {
            "user": {"name": "{0}"},
            "projects": [{"name": "p", "roles": [{"name": "a"}]}],
            "projects_json": "{1}",
            "domain": {"id": "d1"},
        },
        NAMED,
        {"type": "projects"},
    )
    asserted = (
        '[{"name":"p","roles":[{"name":"b"}]},'
        '{"name":"semi;colon{0}","domain":{"name":"z"},"roles":[{"name":"c"}]}]'
    )
    identity = mapped(rules, "3.0", UserName="x", projects=asserted)
    assert identity.projects == (
        MappedProject("p", HERE, ("a", "b")),
        MappedProject("semi;colon{0}", MappedDomain(name="z"), ("c",)),
    )
    for broken in ("nonsense", "{}", '[{"name":"p"}]', '[{"name":"p","roles":["admin"]}]'):
        with pytest.raises(AssertionRefused):
            mapped(rules, "3.0", UserName="x", projects=broken)


# Hostile input.


def test_expressions_cannot_stall_the_cloud() -> None:
    rules = rule(
        USER,
        NAMED,
        {"type": "mail", "any_one_of": ["(a+)+$", "(a|aa)*b", ".*.*.*x"], "regex": True},
    )
    started = time.monotonic()
    with pytest.raises(NoRuleMatched):
        mapped(rules, UserName="x", mail="a" * 20_000 + "!")
    assert time.monotonic() - started < 30


def test_assertions_have_a_size() -> None:
    with pytest.raises(AssertionRefused, match="longer"):
        mapped(rule(USER, NAMED), UserName="x", mail="a" * 70_000)
    heavy = ["(?:[ab]|[bc]){120}$" + str(number) for number in range(20)]
    with pytest.raises(AssertionRefused, match="too long"):
        mapped(
            rule({"user": {"name": "x"}}, {"type": "g", "any_one_of": heavy, "regex": True}),
            g="ab;" * 20_000,
        )
    crossed = {"user": {"name": "x"}, "group_ids": "{0}-{1}"}
    with pytest.raises(AssertionRefused, match="values of"):
        mapped(rule(crossed, {"type": "a"}, {"type": "b"}), a="x;" * 100, b="y;" * 100)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_what_no_database_stores_is_refused(name: str) -> None:
    with pytest.raises(AssertionRefused, match="not text"):
        mapped(rule(USER, NAMED), UserName=name)


def test_names_of_all_scripts_are_kept() -> None:
    user = mapped(rule(USER, NAMED), UserName="José Ωmega 李").user
    assert user.name == "José Ωmega 李"
    assert user.id is not None
    assert user.id.isascii()
