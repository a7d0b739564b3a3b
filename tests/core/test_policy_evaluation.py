"""A rule as SQL selects the rows that the same rule allows one by one."""

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Boolean,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    false,
    insert,
    select,
    true,
)
from sqlalchemy.dialects import postgresql

from onestack.core.policy import Policy, Rule


class Attributes:
    """A target made of a few attributes."""

    def __init__(self, values: Mapping[str, object]):
        self.values = values

    def get(self, dotted_name: str, /) -> object:
        return self.values[dotted_name]


TEXTS = ["a", "b", "None", "True", "1", "-1"]
TABLE = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("owner", String),
    Column("project", String),
    Column("size", Integer),
    Column("shared", Boolean),
)
COLUMNS = {
    "owner": TABLE.c.owner,
    "target.project": TABLE.c.project,
    "size": TABLE.c.size,
    "shared": TABLE.c.shared,
}
ROWS = [
    dict(zip(("owner", "project", "size", "shared"), values, strict=True))
    for values in itertools.product(
        [None, "a", "None"], [None, "b", "True"], [None, 1, -1], [None, True, False]
    )
]


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = create_engine("sqlite://")
    TABLE.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(insert(TABLE), ROWS)
    return engine


def _target(row: Mapping[str, object]) -> Attributes:
    return Attributes({name: row[column.name] for name, column in COLUMNS.items()})


attribute_names = st.sampled_from([*COLUMNS, "gone"])
credential_names = st.sampled_from(["user", "groups", "token.id", "flag", "absent", "number"])
literals = st.sampled_from(["'a'", '"None"', "None", "True", "False", "1", "-1", "'b'"])
single_checks = st.one_of(
    st.sampled_from(["@", "!", "role:r", "role:s", "rule:named", "rule:gone"]),
    st.builds("{}:%({})s".format, credential_names, attribute_names),
    st.builds("{}:%({})s".format, literals, attribute_names),
    st.builds("{}:{}".format, credential_names, st.sampled_from(TEXTS)),
)
checks = st.recursive(
    single_checks,
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
    ),
    max_leaves=8,
)
scalars = st.sampled_from([None, *TEXTS, True, False, 1, -1, 2**70])
credentials = st.fixed_dictionaries(
    {"roles": st.lists(st.sampled_from(["r", "S"]))},
    optional={
        "user": scalars,
        "groups": st.lists(scalars, max_size=3),
        "token": st.one_of(scalars, st.fixed_dictionaries({"id": scalars})),
        "flag": scalars,
        "number": scalars,
    },
)


@given(check=checks, named=checks.filter(lambda text: "rule:named" not in text), held=credentials)
@example(check="not (user:%(owner)s)", named="@", held={"user": "a", "roles": []})
@example(check="not (groups:%(owner)s)", named="@", held={"groups": ["a", "b"], "roles": []})
@example(check="not (None:%(owner)s)", named="@", held={"roles": []})
@example(check="user:%(owner)s", named="@", held={"user": None, "roles": []})
@example(check="user:%(size)s", named="@", held={"user": "9" * 5000, "roles": []})
@settings(max_examples=400, deadline=None)
def test_a_list_selects_the_rows_that_a_decision_allows(engine, check, named, held):
    policy = Policy([Rule("asked", check)], named={"named": named})
    condition = policy.where("asked", held, COLUMNS)
    with engine.connect() as connection:
        rows = connection.execute(select(TABLE).order_by(TABLE.c.id)).mappings().all()
        selected = set(connection.scalars(select(TABLE.c.id).where(condition)))
    answers = {row["id"]: policy.decide("asked", held, _target(row)) for row in rows}
    assert set(answers.values()) <= {True, False}
    assert selected == {id_ for id_, answer in answers.items() if answer}
    early = policy.decide("asked", held, None)
    assert early is None or set(answers.values()) == {early}
    for row in rows:
        lines = policy.explain("asked", held, _target(row))
        assert bool(lines) is not answers[row["id"]]


@pytest.mark.parametrize(
    ("check", "held", "expected"),
    [
        ("role:r", {"roles": ["r"]}, true()),
        ("role:r", {"roles": []}, false()),
        ("role:r or user:%(owner)s", {"roles": ["r"], "user": "a"}, true()),
        ("user:%(owner)s and !", {"user": "a"}, false()),
        ("user:%(owner)s", {"user": None}, false()),
        ("user:%(gone)s", {"user": "a"}, false()),
        ("not user:%(gone)s", {"user": "a"}, true()),
        ("user:%(size)s", {"user": "01"}, false()),
        ("user:%(size)s", {"user": str(2**63)}, false()),
        ("user:%(shared)s", {"user": "yes"}, false()),
    ],
)
def test_a_condition_that_no_row_can_change_is_a_constant(check, held, expected):
    assert Policy([Rule("asked", check)]).where("asked", held, COLUMNS) is expected


def test_a_condition_compares_columns_without_functions_so_that_indexes_serve():
    check = "(role:reader and user:%(owner)s) or groups:%(target.project)s"
    held = {"roles": ["reader"], "user": "a", "groups": ["x", "y"]}
    condition = Policy([Rule("asked", check)]).where("asked", held, COLUMNS)
    sql = condition.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    assert str(sql) == "things.owner = 'a' OR things.project IN ('x', 'y')"


def test_values_are_parameters_and_never_sql(engine):
    hostile = "' OR 1=1 --"
    condition = Policy([Rule("asked", "user:%(owner)s")]).where("asked", {"user": hostile}, COLUMNS)
    assert hostile not in str(condition)
    with engine.connect() as connection:
        assert connection.execute(select(TABLE).where(condition)).all() == []


def test_a_column_that_has_no_text_is_refused():
    column = Table("t", MetaData(), Column("x", Float)).c.x
    policy = Policy([Rule("asked", "a:%(x)s")])
    with pytest.raises(TypeError, match=r"cannot compare t\.x: its type is float"):
        policy.where("asked", {"a": "1.0"}, {"x": column})
