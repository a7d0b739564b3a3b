"""Actions: operations that share a path, and which of them a body is for."""

from typing import Any

import pytest

from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.routes import Routes
from tests.cloud import Answer
from tests.core.test_routes import service
from tests.core.toy_service import ANYONE, SERVICE, Toy


def act(toy: Toy, body: Any, who: str | None = "member", version: str = "2.60") -> Answer:
    made = toy.ask("POST", "/toys", {"toy": {"name": clock.new_id()}}, "member").body["toy"]
    path = f"/toys/{made['id']}/action"
    return toy.ask("POST", path, body, who, OpenStack_API_Version=f"toys {version}")


def test_the_key_of_the_body_says_what_is_done(toy: Toy) -> None:
    answer = act(toy, {"paint": {"name": "red"}})
    assert (answer.status, answer.body) == (202, {"value": "red"})


def test_each_action_has_a_policy_of_its_own(toy: Toy) -> None:
    assert act(toy, {"break": None}).status == 403
    assert act(toy, {"paint": {}}, "other").status == 403


def test_each_action_has_a_window_of_its_own(toy: Toy) -> None:
    assert act(toy, {"break": None}, "admin", "2.10").status == 202


def test_an_action_is_not_there_before_its_window(toy: Toy) -> None:
    assert act(toy, {"break": None}, "admin", "2.9").status == 404


@pytest.mark.parametrize(
    "body", [{"melt": None}, {}, {"paint": {}, "break": None}, [], b"{", b"", b'{"paint": ']
)
def test_what_is_no_action_is_refused(toy: Toy, body: Any) -> None:
    answer = act(toy, body)
    assert answer.status == 400
    assert "action" in answer.message or "Malformed" in answer.message


def test_strangers_are_not_told_which_actions_there_are(toy: Toy) -> None:
    for body in ({"melt": None}, {"paint": {}}):
        assert act(toy, body, who=None).status == 401


def test_actions_are_one_operation_of_the_document() -> None:
    shown = SERVICE.openapi()["paths"]["/toy/toys/{toy_id}/action"]["post"]
    assert {name: each["x-policy"] for name, each in shown["x-actions"].items()} == {
        "paint": "toys:own",
        "break": "toys:admin",
    }
    schema = shown["requestBody"]["content"]["application/json"]["schema"]
    assert [each["required"] for each in schema["oneOf"]] == [["paint"], ["break"]]


def test_an_action_beside_a_plain_operation_is_a_mistake() -> None:
    noun = Operations("things")
    noun.post("/things", ANYONE)(lambda _ctx: None)
    noun.post("/things", ANYONE, action="melt")(lambda _ctx: None)
    plain = service("/b")
    plain.nouns[0].declared.extend(noun.declared)
    with pytest.raises(ValueError, match="no path of actions"):
        Routes([plain])
