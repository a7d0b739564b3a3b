"""Shapes over microversions: what each version knows, and what handlers and clients get."""

import datetime as dt
from typing import Annotated, Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestack.core.shapes import (
    UNSET,
    Extras,
    Meta,
    Named,
    Shape,
    UnsetType,
    Version,
    at,
    cut,
    edges,
    extras_of,
    gather_extras,
    iso,
    since,
    unless_null,
    until,
    widen,
)


class Wheel(Shape):
    size: int
    tyre: Annotated[str | None, since("2.20")] = None


class Car(Shape, kw_only=True):
    name: str
    colour: Annotated[str, until("2.9")] = "red"
    seats: Annotated[Annotated[int, Meta(ge=1)], since("2.10")]
    wheels: list[Wheel] = []
    spare: Wheel | None = None
    by_name: dict[str, Wheel] = {}
    owner_text: Annotated[str | UnsetType, until("2.29"), Named("owner")] = UNSET
    owner_list: Annotated[list[str] | UnsetType, since("2.30"), Named("owner")] = UNSET


class Plain(Shape):
    name: str


class Strict(Shape, forbid_unknown_fields=True):
    name: str
    age: Annotated[int, since("2.5")] = 0


class Loose(Shape):
    name: str
    extra: Annotated[dict[str, Any], Extras] = {}


def version(text: str) -> Version:
    return Version.parse(text)


def names(shape: Any) -> set[str]:
    return {each.encode_name for each in msgspec.structs.fields(shape)}


def test_versions_are_ordered_by_number() -> None:
    assert version("2.9") < version("2.10") < version("10.0")
    assert str(version("2.10")) == "2.10"


@pytest.mark.parametrize(
    "text",
    ["", "2", "2.", ".1", "2.x", "2.1.1", "v2.1", "-2.1", "2.-1", " 2.1", "2.1 ", "\u0662.\u0661",
     "2.1\n", "2,1", "1" * 13 + ".1", "99999999999.1", "0x2.1", "2_0.1"],
)  # fmt: skip
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ersion"):
        Version.parse(text)


def test_each_version_knows_its_fields() -> None:
    first, tenth, newest = (at(Car, version(each)) for each in ("2.1", "2.10", "2.30"))
    common = {"name", "wheels", "spare", "by_name", "owner"}
    assert names(first) == common | {"colour"}
    assert names(tenth) == names(newest) == common | {"seats"}
    assert names(at(Wheel, version("2.19"))) == {"size"}


def test_versions_between_two_changes_share_one_type() -> None:
    assert edges(Car) == {version(each) for each in ("2.10", "2.20", "2.30", "0.0")}
    assert at(Car, version("2.1")) is at(Car, version("2.9"))
    assert at(Car, version("2.10")) is at(Car, version("2.19"))
    assert at(Car, version("2.20")) is at(Car, version("2.29"))
    assert at(Car, version("2.30")) is at(Car, version("2.9999"))
    assert len({at(Car, Version(2, minor)) for minor in range(1, 105)}) == 4


def test_a_shape_that_never_changed_is_itself() -> None:
    assert at(Plain, version("2.1")) is Plain
    assert at(list[Plain], version("2.1")) == list[Plain]
    assert at(Plain | None, version("2.1")) == (Plain | None)


def test_a_version_forbids_what_came_later() -> None:
    assert msgspec.convert({"name": "a", "age": 3}, at(Strict, version("2.5"))).age == 3
    with pytest.raises(msgspec.ValidationError, match="age"):
        msgspec.convert({"name": "a", "age": 3}, at(Strict, version("2.4")))


def test_constraints_hold_in_each_version() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "a", "seats": 0}, at(Car, version("2.10")))


def test_handlers_get_the_newest_shape_whatever_came() -> None:
    old = version("2.1")
    given: dict[str, Any] = {
        "name": "a", "colour": "blue", "owner": "me", "wheels": [{"size": 1}],
        "spare": {"size": 2}, "by_name": {"x": {"size": 3}},
    }  # fmt: skip
    car = widen(msgspec.convert(given, at(Car, old)), Car, old)
    assert type(car) is Car
    assert (car.name, car.colour, car.owner_text) == ("a", "blue", "me")
    assert car.owner_list is UNSET
    assert cast(Any, car.seats) is UNSET
    assert [type(each) for each in (*car.wheels, car.spare, car.by_name["x"])] == [Wheel] * 3
    assert car.spare == Wheel(size=2, tyre=None)
    new = version("2.30")
    wheels = [{"size": 1, "tyre": "t"}]
    newer = {"name": "a", "seats": 2, "owner": ["me", "you"], "wheels": wheels}
    car = widen(msgspec.convert(newer, at(Car, new)), Car, new)
    assert (car.seats, car.owner_list, car.owner_text) == (2, ["me", "you"], UNSET)
    assert car.wheels == [Wheel(size=1, tyre="t")]


def test_what_did_not_change_is_not_copied() -> None:
    plain = Plain(name="a")
    assert widen(plain, Plain, version("2.1")) is plain
    assert cut(plain, Plain, version("2.1")) is plain


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("2.1", {"colour": "red", "owner": "me", "wheels": [{"size": 1}]}),
        ("2.10", {"seats": 4, "owner": "me", "wheels": [{"size": 1}]}),
        ("2.20", {"seats": 4, "owner": "me", "wheels": [{"size": 1, "tyre": None}]}),
        ("2.30", {"seats": 4, "owner": ["me"], "wheels": [{"size": 1, "tyre": None}]}),
    ],
)
def test_answers_are_cut_to_the_clients_version(asked: str, shown: dict[str, Any]) -> None:
    car = Car(name="a", seats=4, wheels=[Wheel(size=1)], owner_text="me", owner_list=["me"])
    seen = msgspec.to_builtins(cut(car, Car, version(asked)))
    assert seen == {"name": "a", "spare": None, "by_name": {}} | shown


def test_what_has_no_value_is_left_out_of_answers() -> None:
    seen = msgspec.to_builtins(cut(Car(name="a", seats=1), Car, version("2.1")))
    assert "owner" not in seen


def test_extras() -> None:
    assert extras_of(Loose) == "extra"
    assert extras_of(Plain) is None
    assert extras_of(int) is None
    assert extras_of(unless_null(Loose | None)) == "extra"
    assert unless_null(Loose | int | None) == Loose | int | None
    given = {"name": "a", "b": 1, "extra": 2}
    assert gather_extras(Loose, "extra", given) == {"name": "a", "extra": {"b": 1, "extra": 2}}


class Versioned(Shape):
    name: str = ""
    age: Annotated[int, since("2.5")] = 0
    extra: Annotated[dict[str, Any], Extras] = {}


class Dog(Shape, tag="dog", omit_defaults=True):
    legs: Annotated[int, since("2.5")] = 4


class Bird(Shape, tag="bird", omit_defaults=True):
    wings: int = 2


class Zoo(Shape):
    animals: list[Dog | Bird]


def test_extras_in_versions() -> None:
    assert extras_of(at(Versioned, version("2.1"))) == "extra"


def test_kinds_in_versions() -> None:
    old = version("2.1")
    given = {"animals": [{"type": "dog"}, {"type": "bird", "wings": 3}]}
    zoo = widen(msgspec.convert(given, at(Zoo, old)), Zoo, old)
    assert zoo == Zoo(animals=[Dog(), Bird(wings=3)])
    assert msgspec.to_builtins(cut(zoo, Zoo, old)) == given


def test_moments() -> None:
    assert iso(None) is None
    assert iso(dt.datetime(2026, 1, 2, 3, 4, 5)) == "2026-01-02T03:04:05.000000Z"


versions = st.builds(Version, st.just(2), st.integers(1, 60))
cars = st.builds(
    lambda name, sizes: {"name": name, "wheels": [{"size": size} for size in sizes]},
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
)


@given(versions, cars)
def test_what_a_version_sends_it_gets_back(asked: Version, body: dict[str, Any]) -> None:
    if asked >= (2, 10):
        body = {**body, "seats": 1}
    car = widen(msgspec.convert(body, at(Car, asked)), Car, asked)
    if asked < (2, 10):
        car.seats = 1
    seen = msgspec.to_builtins(cut(car, Car, asked))
    assert {key: seen[key] for key in body if key != "wheels"} == {
        key: value for key, value in body.items() if key != "wheels"
    }
    assert [wheel["size"] for wheel in seen["wheels"]] == [w["size"] for w in body["wheels"]]
