"""Operations over microversions: who may ask for which, and what each sees."""

from typing import Any

import pytest
from msgspec.structs import replace

from onestack.core.api import Operations
from onestack.core.routes import Routes
from tests.core.toy_service import ANYONE, SERVICE, Toy

HEADER = "OpenStack-API-Version"


def versioned(toy: Toy, method: str, path: str, version: str, body: Any = None) -> Any:
    return toy.ask(method, path, body, "member", OpenStack_API_Version=f"toys {version}")


def test_without_a_version_the_lowest_speaks(toy: Toy) -> None:
    answer = toy.ask("GET", "/here")
    assert answer.headers["openstack-api-version"] == "toys 2.1"
    assert answer.headers["x-openstack-toy-version"] == "2.1"


def test_answers_depend_on_the_headers_that_choose_a_version(toy: Toy) -> None:
    named = "X-Auth-Token, OpenStack-API-Version, X-OpenStack-Toy-Version"
    assert toy.ask("GET", "/here").headers["vary"] == named
    assert toy.ask("GET", "/nowhere").headers["vary"] == named
    assert toy.send("GET", "/healthz").headers["vary"] == "X-Auth-Token"


@pytest.mark.parametrize(
    ("headers", "spoken"),
    [
        ({"OpenStack_API_Version": "toys 2.15"}, "2.15"),
        ({"openstack_api_version": "toys 2.1"}, "2.1"),
        ({"OpenStack_API_Version": "toys latest"}, "2.60"),
        ({"OpenStack_API_Version": "other 9.9, toys 2.7"}, "2.7"),
        ({"OpenStack_API_Version": "other 9.9"}, "2.1"),
        ({"OpenStack_API_Version": "toyshop 9.9"}, "2.1"),
        ({"OpenStack_API_Version": " toys  2.7 "}, "2.7"),
        ({"X_OpenStack_Toy_Version": "2.9"}, "2.9"),
        ({"X_OpenStack_Toy_Version": "latest"}, "2.60"),
        ({"X_OpenStack_Toy_Version": "2.9", "OpenStack_API_Version": "toys 2.10"}, "2.10"),
    ],
)
def test_versions_are_negotiated(toy: Toy, headers: dict[str, str], spoken: str) -> None:
    answer = toy.ask("GET", "/here", **headers)
    assert (answer.status, answer.headers["openstack-api-version"]) == (200, f"toys {spoken}")


@pytest.mark.parametrize("text", ["", "2", "x", "2.x", "-2.1", "2.1.1", "LATEST", "2.1 2.2"])
def test_what_is_no_version_is_a_bad_request(toy: Toy, text: str) -> None:
    answer = toy.ask("GET", "/here", openstack_api_version=f"toys {text}")
    assert answer.status == 400
    assert "openstack-api-version" not in answer.headers


@pytest.mark.parametrize("text", ["2.0", "1.9", "2.61", "3.0", "2.99999"])
def test_versions_out_of_range_are_not_acceptable(toy: Toy, text: str) -> None:
    answer = toy.ask("GET", "/here", openstack_api_version=f"toys {text}")
    assert answer.status == 406
    assert "2.1" in answer.message
    assert "2.60" in answer.message


def test_operations_come_and_go(toy: Toy) -> None:
    for version, path, status in (
        ("2.39", "/new", 404), ("2.40", "/new", 200), ("2.60", "/new", 200),
        ("2.1", "/old", 200), ("2.20", "/old", 200), ("2.21", "/old", 404),
    ):  # fmt: skip
        assert versioned(toy, "GET", path, version).status == status, (version, path)


@pytest.mark.parametrize(
    ("version", "body", "status"),
    [
        ("2.9", {"size": 3}, 400),
        ("2.10", {"size": 3}, 201),
        ("2.19", {"colour": "red"}, 201),
        ("2.20", {"colour": "red"}, 400),
        ("2.29", {"maker": "me"}, 201),
        ("2.29", {"maker": ["me"]}, 400),
        ("2.30", {"maker": ["me"]}, 201),
        ("2.30", {"maker": "me"}, 400),
        ("2.30", {"maker_list": ["me"]}, 400),
        ("2.29", {"maker_text": "me"}, 400),
    ],
)
def test_a_body_is_judged_by_its_version(
    toy: Toy, version: str, body: dict[str, Any], status: int
) -> None:
    answer = versioned(toy, "POST", "/toys", version, {"toy": {"name": "bear", **body}})
    assert answer.status == status, answer
    if status == 201:
        assert {key: answer.body["toy"][key] for key in body} == body


@pytest.mark.parametrize(
    ("version", "members"),
    [
        ("2.1", {"colour": None, "maker": None}),
        ("2.10", {"colour": None, "maker": None, "size": None}),
        ("2.12", {"colour": None, "maker": None, "size": None, "parts": [{"name": "wheel"}]}),
        ("2.20", {"maker": None, "size": None, "parts": [{"name": "wheel", "weight": 7}]}),
        ("2.60", {"maker": [], "size": None, "parts": [{"name": "wheel", "weight": 7}]}),
    ],
)
def test_answers_are_cut_to_the_version(toy: Toy, version: str, members: dict[str, Any]) -> None:
    made = toy.ask("POST", "/toys", {"toy": {"name": "bear"}}, "member").body["toy"]
    expected = {"id": made["id"], "name": "bear", **members}
    assert versioned(toy, "GET", f"/toys/{made['id']}", version).body == {"toy": expected}
    assert versioned(toy, "GET", "/toys", version).body == {"toys": [expected]}


def test_a_query_is_judged_by_its_version(toy: Toy) -> None:
    assert versioned(toy, "GET", "/query?order=up", "2.19").status == 400
    answer = versioned(toy, "GET", "/query?order=up", "2.20")
    assert answer.body["value"][-1] == "up"
    assert versioned(toy, "GET", "/query?order=sideways", "2.20").status == 400


def routes(*declared: tuple[str, str]) -> Routes:
    noun = Operations("twice")
    for method, path in declared:
        noun(method, path, ANYONE)(lambda _ctx, **_ids: None)
    return Routes([replace(SERVICE, nouns=(noun,))])


def test_two_operations_for_one_path_are_a_mistake() -> None:
    for path in ("/a/{b_id}", "/a/{c_id}"):
        with pytest.raises(ValueError, match="two operations"):
            routes(("GET", "/a/{b_id}"), ("GET", path))


def test_two_names_for_one_parameter_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="parameters"):
        routes(("GET", "/a/{b_id}"), ("PATCH", "/a/{c_id}"))


def test_every_operation_names_its_parameters_in_its_path() -> None:
    for operation in SERVICE.operations:
        for name in operation.parameter_names:
            assert operation.hints[name] is str, operation.path
