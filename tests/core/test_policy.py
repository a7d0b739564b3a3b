"""The rule language, what rules decide, and how they explain it."""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, String, Table, create_engine, false, select

from onestack.core.policy import Policy, PolicyError, PolicySyntaxError, Rule, parse


class Attributes:
    """A target made of a few attributes."""

    def __init__(self, values: Mapping[str, object]):
        self.values = values

    def get(self, dotted_name: str, /) -> object:
        return self.values[dotted_name]


NOTHING = Attributes({})


def decide(check, credentials=None, target=NOTHING, named=None):
    return Policy([Rule("asked", check)], named=named).decide("asked", credentials or {}, target)


# Constructs


@pytest.mark.parametrize(
    ("check", "credentials", "target", "answer"),
    [
        ("@", {}, {}, True),
        ("", {}, {}, True),
        ("!", {}, {}, False),
        ("(@)", {}, {}, True),
        ("((!))", {}, {}, False),
        ("  @  ", {}, {}, True),
        ("role:admin", {"roles": ["member", "admin"]}, {}, True),
        ("role:admin", {"roles": ["ADMIN"]}, {}, True),
        ("role:Admin", {"roles": ("admin",)}, {}, True),
        ("role:admin", {"roles": ["administrator"]}, {}, False),
        ("role:admin", {"roles": []}, {}, False),
        ("role:admin", {"roles": None}, {}, False),
        ("role:admin", {"roles": "admin"}, {}, False),
        ("role:admin", {}, {}, False),
        ("system_scope:all", {"system_scope": "all"}, {}, True),
        ("system_scope:all", {"system_scope": "ALL"}, {}, False),
        ("system_scope:all", {"system_scope": None}, {}, False),
        ("system_scope:None", {"system_scope": None}, {}, True),
        ("system_scope:None", {}, {}, False),
        ("is_admin:True", {"is_admin": True}, {}, True),
        ("is_admin:1", {"is_admin": True}, {}, False),
        ("is_admin:1", {"is_admin": 1}, {}, True),
        ("name:a:b", {"name": "a:b"}, {}, True),
        ("token.project.domain.id:d", {"token": {"project": {"domain": {"id": "d"}}}}, {}, True),
        ("token.project.domain.id:d", {"token": {"project": None}}, {}, False),
        ("token.project.domain.id:d", {"token": "text"}, {}, False),
        ("token.project.domain.id:d", {}, {}, False),
        ("groups:g2", {"groups": ["g1", "g2"]}, {}, True),
        ("groups:g3", {"groups": ["g1", "g2"]}, {}, False),
        ("groups:g", {"groups": []}, {}, False),
        ("groups.id:g2", {"groups": [{"id": "g1"}, {"id": "g2"}]}, {}, True),
        ("groups.id:g3", {"groups": [{"id": "g1"}, {"name": "g3"}, "g3"]}, {}, False),
        ("user_id:%(user.id)s", {"user_id": "u"}, {"user.id": "u"}, True),
        ("user_id:%(user.id)s", {"user_id": "u"}, {"user.id": "v"}, False),
        ("user_id:%(user.id)s", {"user_id": "u"}, {}, False),
        ("user_id:%(user.id)s", {}, {"user.id": "u"}, False),
        ("user_id:%(user.id)s", {"user_id": 12}, {"user.id": "12"}, True),
        ("user_id:%(user.id)s", {"user_id": "12"}, {"user.id": 12}, True),
        ("groups:%(group)s", {"groups": ["g1", "g2"]}, {"group": "g2"}, True),
        ("(user_id:%(user.id)s)", {"user_id": "u"}, {"user.id": "u"}, True),
        ("'member':%(role)s", {}, {"role": "member"}, True),
        ('"member":%(role)s', {}, {"role": "admin"}, False),
        ("'a:b':%(role)s", {}, {"role": "a:b"}, True),
        ("'member':%(role)s", {"member": "x"}, {}, False),
        ("member:%(role)s", {}, {"role": "member"}, False),
        ("True:%(enabled)s", {}, {"enabled": True}, True),
        ("False:%(enabled)s", {}, {"enabled": True}, False),
        ("12:%(size)s", {}, {"size": 12}, True),
        ("'member':member", {}, {}, True),
        ("'member':other", {}, {}, False),
        ("None:None", {}, {}, True),
    ],
)
def test_a_check_answers(check, credentials, target, answer):
    assert decide(check, credentials, Attributes(target)) is answer


@pytest.mark.parametrize(
    ("check", "credentials", "value", "answer"),
    [
        ("None:%(x)s", {}, None, True),
        ("None:%(x)s", {}, "None", False),
        ("'None':%(x)s", {}, None, False),
        ("'None':%(x)s", {}, "None", True),
        ("name:%(x)s", {"name": None}, None, False),
        ("name:%(x)s", {"name": "None"}, None, False),
        ("name:%(x)s", {"name": None}, "None", False),
        ("name:%(x)s", {"name": [None, "a"]}, None, False),
        ("name:%(x)s", {"name": [None, "a"]}, "a", True),
    ],
)
def test_what_is_absent_on_both_sides_is_not_the_same(check, credentials, value, answer):
    assert decide(check, credentials, Attributes({"x": value})) is answer


def test_not_turns_a_missing_attribute_into_true():
    assert decide("not user_id:%(gone)s", {"user_id": "u"}) is True
    assert decide("not 'a':%(gone)s") is True
    assert decide("not None:%(gone)s") is True
    assert decide("not role:admin", {"roles": ["admin"]}) is False
    assert decide("not not role:admin", {"roles": ["admin"]}) is True


OPERATORS = {
    "a and b": lambda a, b, c: a and b,
    "a AND b": lambda a, b, c: a and b,
    "a or b": lambda a, b, c: a or b,
    "a Or b": lambda a, b, c: a or b,
    "not a": lambda a, b, c: not a,
    "NOT a": lambda a, b, c: not a,
    "a or b and c": lambda a, b, c: a or (b and c),
    "a and b or c": lambda a, b, c: (a and b) or c,
    "(a or b) and c": lambda a, b, c: (a or b) and c,
    "a and (b or c)": lambda a, b, c: a and (b or c),
    "not a and b": lambda a, b, c: (not a) and b,
    "not a or b": lambda a, b, c: (not a) or b,
    "not (a or b)": lambda a, b, c: not (a or b),
    "a and not b": lambda a, b, c: a and not b,
    "a and not (b and not c)": lambda a, b, c: a and not (b and not c),
    "((a) or (b)) and (not (c))": lambda a, b, c: (a or b) and not c,
    "a or not b and c": lambda a, b, c: a or ((not b) and c),
    "a\tand\n b": lambda a, b, c: a and b,
}


@pytest.mark.parametrize("text", OPERATORS)
def test_operators_and_their_precedence(text):
    check = re.sub(r"\b([abc])\b", r"role:\1", text)
    for held in itertools.product([False, True], repeat=3):
        roles = [name for name, has in zip("abc", held, strict=True) if has]
        assert decide(check, {"roles": roles}) is OPERATORS[text](*held), (check, roles)


@pytest.mark.parametrize(
    ("lists", "meaning"),
    [
        ([], lambda a, b, c: True),
        ([["role:a", "role:b"], ["role:c"]], lambda a, b, c: (a and b) or c),
        ([["role:a"], "role:b"], lambda a, b, c: a or b),
        (["role:a", "role:b"], lambda a, b, c: a or b),
        ([["role:a", "!"], ["role:c"]], lambda a, b, c: c),
        ([["@"]], lambda a, b, c: True),
        ([[]], lambda a, b, c: False),
        ([[], ["role:a"]], lambda a, b, c: a),
        ([["rule:helper", "role:b"]], lambda a, b, c: a and b),
    ],
)
def test_lists_of_lists(lists, meaning):
    policy = Policy([Rule("asked", "!")], {"asked": lists}, {"helper": "role:a"})
    for held in itertools.product([False, True], repeat=3):
        roles = [name for name, has in zip("abc", held, strict=True) if has]
        assert policy.decide("asked", {"roles": roles}, None) is meaning(*held)


# Rules and overrides


def test_an_override_replaces_a_declared_rule_and_a_named_one():
    declared = [Rule("get", "rule:admin_required"), Rule("list", "role:reader")]
    named = {"admin_required": "role:admin"}
    overrides = {"admin_required": "role:boss", "list": "rule:helper", "helper": "role:auditor"}
    policy = Policy(declared, overrides, named)
    assert policy.decide("get", {"roles": ["boss"]}, None) is True
    assert policy.decide("get", {"roles": ["admin"]}, None) is False
    assert policy.decide("list", {"roles": ["auditor"]}, None) is True
    assert policy.decide("list", {"roles": ["reader"]}, None) is False
    assert [(rule.name, text, over) for rule, text, over in policy.items()] == [
        ("admin_required", "role:boss", True),
        ("get", "rule:admin_required", False),
        ("list", "rule:helper", True),
        ("helper", "role:auditor", True),
    ]


def test_items_keep_the_declared_rule_and_show_lists_as_written():
    rule = Rule("get", "role:reader", frozenset({"project"}), "Show a thing.")
    policy = Policy([rule], {"get": [["role:a", "role:b"]]})
    assert list(policy.items()) == [(rule, '[["role:a", "role:b"]]', True)]


def test_scopes_survive_an_override():
    rule = Rule("get", "role:reader", frozenset({"system"}))
    policy = Policy([rule], {"get": "@", "helper": "@"})
    assert policy.scopes_of("get") == {"system"}
    assert policy.scopes_of("helper") == {"system", "domain", "project"}
    assert policy.scopes_of("unknown") == frozenset()
    assert Rule("x", "@").scopes == {"system", "domain", "project"}


def test_what_is_unknown_is_refused():
    policy = Policy([Rule("get", "rule:gone"), Rule("other", "not rule:gone")])
    assert policy.decide("get", {"roles": ["admin"]}, NOTHING) is False
    assert policy.decide("other", {}, NOTHING) is True
    assert policy.decide("never:declared", {"roles": ["admin"]}, NOTHING) is False
    assert policy.where("never:declared", {}, {}) is false()
    assert policy.dangling() == {"get": ["gone"], "other": ["gone"]}


def test_a_default_rule_does_not_open_what_is_unknown():
    policy = Policy([], {"default": "@"})
    assert policy.decide("never:declared", {}, None) is False


def test_rules_refer_to_rules_in_any_order():
    named = {"a": "rule:b or role:x", "b": "rule:identity:c", "identity:c": "role:y"}
    for order in itertools.permutations(named):
        policy = Policy([], named={name: named[name] for name in order})
        assert policy.decide("a", {"roles": ["y"]}, None) is True
        assert policy.decide("a", {"roles": ["z"]}, None) is False


@pytest.mark.parametrize(
    ("rules", "shown"),
    [
        ({"a": "rule:a"}, "a -> a"),
        ({"a": "not rule:b", "b": "role:x and (rule:c or @)", "c": "rule:a"}, "a -> b -> c -> a"),
        ({"start": "rule:x", "x": "rule:y", "y": "rule:x"}, "x -> y -> x"),
    ],
)
def test_a_cycle_is_refused(rules, shown):
    with pytest.raises(PolicyError, match=f"in a circle: {shown}$"):
        Policy([Rule(name, check) for name, check in rules.items()])


def test_a_rule_declared_twice_must_be_the_same():
    assert Policy([Rule("get", "@"), Rule("get", "@")]).decide("get", {}, None) is True
    with pytest.raises(PolicyError, match="'get' is declared twice"):
        Policy([Rule("get", "@"), Rule("get", "!")])
    with pytest.raises(PolicyError, match="'get' is declared twice"):
        Policy([Rule("get", "@"), Rule("get", "@", frozenset({"system"}))])


# Files


def test_load_reads_a_file(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    path.write_text('# operators comment\n"get": "role:a"\n"old": [["role:b", "role:c"]]\n')
    policy = Policy.load([Rule("get", "!"), Rule("keep", "role:k")], path, {"n": "role:n"})
    assert policy.decide("get", {"roles": ["a"]}, None) is True
    assert policy.decide("old", {"roles": ["b", "c"]}, None) is True
    assert policy.decide("old", {"roles": ["b"]}, None) is False
    assert policy.decide("keep", {"roles": ["k"]}, None) is True
    assert policy.decide("n", {"roles": ["n"]}, None) is True


def test_load_takes_a_file_of_comments(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    path.write_text('# "get": "role:a"\n')
    assert Policy.load([Rule("get", "@")], path).decide("get", {}, None) is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "must map rule names to rules"),
        ("12: role:a\n", "must map rule names to rules"),
        ("text", "must map rule names to rules"),
        ("a: [unclosed\n", "is not YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "is not YAML"),
        ("a:\n", "policy rule 'a'.*a rule is a text"),
        ("a: 12\n", "policy rule 'a'.*a rule is a text"),
        ("a: true\n", "policy rule 'a'.*a rule is a text"),
        ("a: {b: c}\n", "policy rule 'a'.*a rule is a text"),
        ("a: [[12]]\n", "policy rule 'a'.*12 is not a check"),
        ("a: [12]\n", "policy rule 'a'.*12 is not a list of checks"),
        ("a: role:b and\n", "policy rule 'a'.*found 'the end', at character 11 of 'role:b and'"),
    ],
)
def test_load_refuses(tmp_path: Path, text: str, message: str):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=message):
        Policy.load([], path)


def test_load_refuses_what_is_not_text(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    path.write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(PolicyError, match="is not YAML"):
        Policy.load([], path)


# Errors


@pytest.mark.parametrize(
    ("text", "position"),
    [
        (" ", 1),
        ("()", 1),
        ("(", 1),
        (")", 0),
        ("role:a)", 6),
        ("(role:a", 7),
        ("role:a role:b", 7),
        ("role:a and", 10),
        ("and role:a", 0),
        ("role:a or or role:b", 10),
        ("role:a and or role:b", 11),
        ("not", 3),
        ("role:a not role:b", 7),
        ("role", 0),
        ("role:", 0),
        (":x", 0),
        ("role:a and(role:b)", 7),
        ("'quoted text'", 0),
        ("'half:x", 0),
        ("a..b:x", 0),
        (".a:x", 0),
        ("a[0]:x", 0),
        ("user_id:%(x)", 0),
        ("user_id:%(x)d", 0),
        ("user_id:%()s", 0),
        ("user_id:%(x)s-%(y)s", 0),
        ("user_id:%s", 0),
        ("user_id:100%", 0),
        ("role:%(x)s", 0),
        ("@ and rule:%(x)s", 6),
        ("role:a or http://host/%(x)s", 10),
        ("https://host/", 0),
    ],
)
def test_a_syntax_error_names_the_text_and_the_place(text: str, position: int):
    with pytest.raises(PolicySyntaxError) as caught:
        parse(text)
    assert caught.value.position == position
    assert repr(text) in str(caught.value)
    assert f"character {position + 1} of" in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_http_checks_say_that_they_are_not_supported():
    with pytest.raises(PolicySyntaxError, match=r"'get'.*http: checks are not supported"):
        Policy([Rule("get", "role:a or http://host/x")])


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000 + "@" + ")" * 10_000,
        "(" * 10_000,
        "not " * 10_000 + "@",
        "not (" * 10_000 + "@" + ")" * 10_000,
    ],
)
def test_deep_nesting_is_refused(text: str):
    with pytest.raises(PolicySyntaxError, match="nests deeper than 50 levels") as caught:
        parse(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", [")" * 10_000, "a)" * 10_000, "x" * 100_000, "%(" * 10_000])
def test_long_nonsense_is_refused_shortly(text: str):
    with pytest.raises(PolicySyntaxError) as caught:
        parse(text)
    assert len(str(caught.value)) < 800


def test_nesting_by_reference_is_limited_too():
    chain = {f"r{number}": f"rule:r{number + 1}" for number in range(10_000)}
    backwards = dict(reversed(chain.items()))
    for named in (chain, backwards):
        with pytest.raises(PolicyError, match="more than 50 levels deep"):
            Policy([], named=named)


def test_rules_that_double_at_each_step_are_refused():
    named = {f"r{number}": f"rule:r{number + 1} or rule:r{number + 1}" for number in range(40)}
    with pytest.raises(PolicyError, match="more than 500 checks long"):
        Policy([], named=named)


def test_a_rule_may_be_as_deep_and_as_long_as_the_limits():
    deep = "a:%(x)s"
    for level in range(48):
        deep = f"({deep}) {'and' if level % 2 else 'or'} a:%(x)s"
    long = " or ".join(["a:%(x)s"] * 500)
    column = Table("t", MetaData(), Column("x", String)).c.x
    engine = create_engine("sqlite://")
    for check in (deep, long):
        policy = Policy([Rule("asked", check)])
        assert policy.decide("asked", {"a": "1"}, Attributes({"x": "1"})) is True
        column.table.metadata.create_all(engine)
        with engine.connect() as connection:
            condition = policy.where("asked", {"a": "1"}, {"x": column})
            assert connection.execute(select(column).where(condition)).all() == []


# Three values


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        ("mine:%(x)s", None),
        ("'a':%(x)s", None),
        ("None:%(x)s", None),
        ("not mine:%(x)s", None),
        ("mine:%(x)s or @", True),
        ("@ or mine:%(x)s", True),
        ("mine:%(x)s or !", None),
        ("mine:%(x)s and @", None),
        ("mine:%(x)s and !", False),
        ("! and mine:%(x)s", False),
        ("not (mine:%(x)s and !)", True),
        ("not (mine:%(x)s or @)", False),
        ("(mine:%(x)s or @) and role:r", True),
        ("(mine:%(x)s and role:r) or role:s", None),
        ("nobodys:%(x)s", False),
        ("empty:%(x)s", False),
        ("absent:%(x)s", False),
        ("not absent:%(x)s", True),
        ("mine:a", True),
        ("'a':a", True),
    ],
)
def test_without_a_target_an_answer_may_be_open(check, answer):
    credentials = {"mine": "a", "roles": ["r"], "empty": [], "nobodys": None}
    assert decide(check, credentials, None) is answer


# Explanations


def explain(check, credentials=None, target=None, named=None):
    policy = Policy([Rule("asked", check)], named=named)
    given_target = None if target is None else Attributes(target)
    return policy.explain("asked", credentials or {}, given_target)


def test_explanations_name_the_parts_that_failed():
    named = {"admin_required": "role:admin", "owner": "user_id:%(target.user.id)s"}
    check = "rule:admin_required or rule:owner"
    mine, other = {"target.user.id": "u"}, {"target.user.id": "v"}
    credentials = {"user_id": "u", "roles": []}
    refused = ["needs role admin", "user_id is not target.user.id"]
    assert explain(check, credentials, other, named) == refused
    assert explain(check, credentials, mine, named) == []
    assert explain(check, credentials, None, named) == []


@pytest.mark.parametrize(
    ("check", "lines"),
    [
        ("!", ["nobody may do this"]),
        ("not @", ["nobody may do this"]),
        ("role:reader and role:admin", ["needs role admin"]),
        ("role:x or (role:x and role:y)", ["needs role x", "needs role y"]),
        ("not role:reader", ["refused to role reader"]),
        ("not (role:reader or role:x)", ["refused to role reader"]),
        ("system_scope:all", ["system_scope is not all"]),
        ("token.id:%(x)s", ["token.id is not x"]),
        ("not user_id:%(x)s", ["user_id must not be x"]),
        ("'a':%(x)s", ["x is not a"]),
        ("None:%(x)s", ["x is not None"]),
        ("not user_id:u", ["user_id must not be u"]),
        ("rule:gone", ["no rule is named gone"]),
        ("@", []),
    ],
)
def test_each_kind_of_part_has_its_line(check, lines):
    assert explain(check, {"roles": ["reader"], "user_id": "u"}, {"x": "u"}) == lines


def test_an_unknown_rule_is_explained():
    assert Policy([]).explain("gone", {}, None) == ["no rule is named gone"]
