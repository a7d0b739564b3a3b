"""The HTTP application: what becomes of a request, from its bytes to the answer."""

import asyncio
import logging
import re
from typing import Any

import pytest
from sqlalchemy import select

from onestack.core import trace
from tests.cloud import Answer
from tests.core.conftest import Logged, Toys
from tests.core.toy_service import SECRET, Toy, ToyRecord

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}")


def make(toy: Toy, name: str, **more: Any) -> Any:
    answer = toy.ask("POST", "/toys", {"toy": {"name": name, **more}}, "member")
    assert answer.status == 201, answer
    return answer.body["toy"]


def test_an_operation_from_end_to_end(toy: Toy) -> None:
    made = make(toy, "bear")
    answer = toy.ask("GET", f"/toys/{made['id']}", token="member")
    assert (answer.status, answer.body["toy"]["name"]) == (200, "bear")
    assert [each["name"] for each in toy.ask("GET", "/toys", token="member").body["toys"]] == [
        "bear"
    ]
    assert toy.ask("DELETE", f"/toys/{made['id']}", token="member").status == 204
    assert toy.ask("GET", f"/toys/{made['id']}", token="member").status == 404


def test_an_answer_without_content_has_no_body(toy: Toy) -> None:
    answer = toy.ask("DELETE", f"/toys/{make(toy, 'bear')['id']}", token="member")
    assert (answer.status, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    assert "content-length" not in answer.headers


def test_raw_answers_and_replies_keep_what_they_set(toy: Toy) -> None:
    answer = toy.ask("GET", "/raw")
    assert (answer.content, answer.headers["content-type"]) == (b"bytes", "text/plain")
    assert answer.headers["cache-control"] == "no-store"
    answer = toy.ask("POST", "/reply")
    assert (answer.status, answer.body) == (202, {"made": True})
    assert answer.headers["location"] == "/toy/made"


def test_head_is_get_without_the_body(toy: Toy) -> None:
    made = make(toy, "bear")
    whole = toy.ask("GET", f"/toys/{made['id']}", token="member")
    head = toy.ask("HEAD", f"/toys/{made['id']}", token="member")
    assert (head.status, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert toy.ask("HEAD", "/toys/none", token="member").status == 404
    assert toy.ask("HEAD", "/toys").status == 401
    assert toy.ask("HEAD", "/loose").status == 405


# Paths


@pytest.mark.parametrize(
    "path", ["/toy/nowhere", "/toy/toys/1/2", "/nowhere", "/toyland", "/toy/toys//parts/1", "/toy"]
)
def test_what_is_not_there_is_not_found(toy: Toy, path: str) -> None:
    answer = toy.send("GET", path)
    assert (answer.status, answer.body["error"]["code"]) == (404, 404)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "BREW", "get"])
def test_other_methods_are_refused_with_those_allowed(toy: Toy, method: str) -> None:
    answer = toy.ask(method, "/toys")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_slash_at_the_end_makes_no_difference(toy: Toy) -> None:
    assert toy.ask("GET", "/here/").status == 200
    assert toy.ask("GET", "/toys/", token="member").status == 200


def test_a_literal_segment_wins_over_a_parameter(toy: Toy) -> None:
    assert toy.ask("GET", "/toys/detail").body == {"value": "detail"}


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/toys/a%20b/parts/c", ["a b", "c"]),
        ("/toys/%C3%A4/parts/%E2%82%AC", ["ä", "€"]),
        ("/toys/a%2Fb/parts/c", ["a%2Fb", "c"]),
        ("/toys/a%2fb/parts/..%2f..", ["a%2Fb", "..%2F.."]),
        ("/toys/%25/parts/%2525", ["%", "%25"]),
        ("/toys/%zz/parts/%", ["%zz", "%"]),
        ("/toys/a+b/parts/a;b=c", ["a+b", "a;b=c"]),
        ("/toys/../parts/..", ["..", ".."]),
    ],
)
def test_path_parameters_arrive_decoded_once(toy: Toy, path: str, seen: list[str]) -> None:
    assert toy.ask("GET", path).body == {"value": seen}


def test_paths_that_are_no_text_are_refused(toy: Toy) -> None:
    assert toy.ask("GET", "/toys/%ff%fe/parts/x").status == 400
    assert toy.ask("GET", "/toys/%ed%a0%80/parts/x").status == 400
    assert toy.ask("GET", "/toys/\xff/parts/x").status == 400


@pytest.mark.parametrize(
    "path", ["/toys/%00/parts/x", "/toys/a%00b/parts/x", "/query?name=%00", "/query?name=a%00"]
)
def test_nul_in_a_url_is_refused(toy: Toy, path: str) -> None:
    assert toy.ask("GET", path).status == 400


def test_nul_in_a_body_is_refused(toy: Toy) -> None:
    assert toy.ask("POST", "/loose", b'{"name": "a\\u0000"}').status == 400
    assert toy.ask("POST", "/loose", b'{"name": "a\0"}').status == 400
    escaped = toy.ask("POST", "/loose", rb'{"name": "a\\u0000"}')
    assert (escaped.status, escaped.body["name"]) == (200, r"a\u0000")


# Query strings


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("", [None, None, None, None, None]),
        ("name=a&deleted=1&limit=5", ["a", True, None, 5, None]),
        ("deleted=", [None, True, None, None, None]),
        ("deleted=No", [None, False, None, None, None]),
        ("tag=a&tag=b", [None, None, ["a", "b"], None, None]),
        ("tag=a", [None, None, ["a"], None, None]),
        ("name=a&name=b", ["b", None, None, None, None]),
        ("name=1", ["1", None, None, None, None]),
        ("name=true", ["true", None, None, None, None]),
        ("name=null", ["null", None, None, None, None]),
        ("name=%C3%A4+b", ["ä b", None, None, None, None]),
    ],
)
def test_query_values_get_their_types(toy: Toy, query: str, seen: list[Any]) -> None:
    answer = toy.ask("GET", f"/query?{query}")
    assert (answer.status, answer.body) == (200, {"value": seen})


@pytest.mark.parametrize(
    "query",
    [
        "unknown=1", "limit=-1", "limit=1001", "limit=x", "limit=1.5", "limit=",
        "deleted=maybe", "order=up", "limit=99999999999999999999999", "limit=%D9%A1",
        "&".join(f"tag={number}" for number in range(300)),
    ],
)  # fmt: skip
def test_bad_query_values_are_refused(toy: Toy, query: str) -> None:
    answer = toy.ask("GET", f"/query?{query}")
    assert (answer.status, "uery" in answer.message) == (400, True)


def test_query_values_that_are_no_text_are_refused(toy: Toy) -> None:
    assert toy.ask("GET", "/query?name=%ff").status == 400
    assert toy.ask("GET", "/query?name=%ed%a0%80").status == 400
    assert toy.ask("GET", "/query?name=\xff").status == 400


# Bodies


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"x"', b"1", b"{}", b'{"toy": null}', b'{"toy": []}',
        b'{"toy": {}}', b'{"toy": {"name": ""}}', b'{"toy": {"name": 1}}',
        b'{"toy": {"name": "a", "unknown": 1}}', b'{"toy": {"name": "a"}} trailing',
        b'{"toy": {"name": "\xff"}}', b"\xef\xbb\xbf" + b'{"toy": {"name": "a"}}',
        b'{"toy": {"name": "\\ud800"}}', b'{"toy": {"name": "\\udc00\\ud800"}}',
        b'{"toy": {"name": NaN}}', '{"toy": {"name": "a"}}'.encode("utf-16"),
        b'{"toy": {"name": "%s"}}' % (b"x" * 256), b"[" * 100_000, b'{"a":' * 100_000,
        b'{"toy": {"name": "a", "colour": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"toy": ' + b"9" * 100_000 + b"}",
    ],
)  # fmt: skip
def test_bodies_that_are_not_as_declared_are_refused(toy: Toy, body: bytes) -> None:
    answer = toy.ask("POST", "/toys", body, "member")
    assert answer.status == 400, answer
    assert answer.message
    assert toy.names() == []


def test_deep_nesting_where_anything_goes_is_refused(toy: Toy) -> None:
    for depth in (500, 5_000, 100_000):
        body = b'{"x": ' + b"[" * depth + b"]" * depth + b"}"
        assert toy.ask("POST", "/loose", body).status in (200, 400), depth
    assert toy.ask("POST", "/loose", body).status == 400


def test_the_last_of_equal_keys_counts_and_only_it(toy: Toy) -> None:
    body = b'{"toy": {"name": "first"}, "toy": {"name": "second", "name": "third"}}'
    answer = toy.ask("POST", "/toys", body, "member")
    assert (answer.status, answer.body["toy"]["name"]) == (201, "third")


def test_undeclared_attributes_are_kept_where_they_may_be(toy: Toy) -> None:
    body = {"name": "a", "b": [1, {"c": None}], "extra": 5}
    answer = toy.ask("POST", "/loose", body)
    assert (answer.status, answer.body) == (200, body)
    assert toy.ask("POST", "/loose", [body]).status == 400


def test_huge_numbers_where_anything_goes(toy: Toy) -> None:
    for number in (b"1" * 400, b"1e400", b"-" + b"9" * 30, b"1" * 5000):
        answer = toy.ask("POST", "/loose", b'{"x": ' + number + b"}")
        assert answer.status in (200, 400), number[:10]


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON", ""]
)
def test_json_is_taken_under_its_names(toy: Toy, kind: str) -> None:
    assert toy.ask("POST", "/loose", b"{}", content_type=kind).status == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", "x", "a" * 5000]
)
def test_other_types_are_refused(toy: Toy, kind: str) -> None:
    answer = toy.ask("POST", "/loose", b"{}", content_type=kind)
    assert answer.status == 415
    assert len(answer.content) < 400


def test_a_body_where_none_is_read_is_ignored(toy: Toy) -> None:
    assert toy.ask("GET", "/here", b"not json", content_type="text/plain").status == 200


# Rights


def test_tokens(toy: Toy) -> None:
    answer = toy.ask("GET", "/whoami")
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Keystone uri="http://127.0.0.1:5000/identity"'
    assert toy.ask("GET", "/whoami", token="nobody").status == 401
    assert toy.ask("GET", "/whoami", token="").status == 401
    assert toy.ask("GET", "/whoami", token="member").body["value"][0] == "member"
    assert toy.ask("GET", "/here", token="nobody").status == 200


def test_rules_are_asked_before_the_body_is_read(toy: Toy) -> None:
    assert toy.ask("GET", "/admin", token="member").status == 403
    assert toy.ask("GET", "/admin", token="admin").status == 200
    assert toy.ask("POST", "/toys", b"{").status == 401


def test_a_scope_that_the_rule_does_not_name_is_refused(toy: Toy) -> None:
    assert toy.ask("GET", "/system", token="admin").status == 403


def test_what_is_not_ones_own_is_refused(toy: Toy) -> None:
    made = make(toy, "bear")
    assert toy.ask("GET", f"/toys/{made['id']}", token="other").status == 403
    assert toy.ask("DELETE", f"/toys/{made['id']}", token="other").status == 403
    assert toy.ask("DELETE", f"/toys/{made['id']}", token="admin").status == 204


def test_a_handler_that_forgets_to_ask_is_refused_and_its_work_undone(
    toy: Toy, logged: Logged
) -> None:
    answer = toy.ask("GET", "/toys/1/forgetful", token="member")
    assert answer.status == 403
    assert SECRET not in answer.content.decode()
    assert toy.ask("POST", "/forgetful", token="member").status == 403
    assert toy.names() == []
    errors = [line for line in logged() if line["level"] == "error"]
    assert [line["rule"] for line in errors] == ["toys:own", "toys:own"]
    assert all(REQUEST_ID.fullmatch(line["request_id"]) for line in errors)
    assert toy.ask("GET", "/toys/1/forgetful", token="admin").status == 200


def test_access_rules_of_application_credentials(toy: Toy) -> None:
    made = make(toy, "bear")
    assert toy.ask("GET", f"/toys/{made['id']}", token="limited").status == 200
    assert toy.ask("POST", "/loose", {}, token="limited").status == 200
    assert toy.ask("GET", "/toys", token="limited").status == 403
    assert toy.ask("DELETE", f"/toys/{made['id']}", token="limited").status == 403
    assert toy.ask("GET", "/toys/1/parts/2", token="limited").status == 403
    assert toy.ask("GET", "/here", token="limited").status == 403  # the rule is of another service
    assert toy.ask("GET", "/toys/a%2Fb/parts/2", token="limited").status == 403


# Transactions


def test_what_a_failed_request_wrote_is_undone(toy_on: Toy) -> None:
    assert toy_on.ask("POST", "/half", token="member").status == 404
    answer = toy_on.ask("POST", "/broken", token="member")
    assert answer.status == 500
    assert SECRET not in answer.content.decode()
    assert toy_on.names() == []


def test_what_is_there_already_is_a_conflict(toy_on: Toy) -> None:
    make(toy_on, "bear")
    answer = toy_on.ask("POST", "/toys", {"toy": {"name": "bear"}}, "member")
    assert answer.status == 409
    assert "UNIQUE" not in answer.message.upper()
    assert toy_on.names() == ["bear"]


def test_a_name_that_another_took_first_is_drawn_anew(toy_on: Toy) -> None:
    drawn = [toy_on.ask("POST", "/drawn", token="member").body["value"] for _ in range(2)]
    assert drawn == toy_on.names() == ["drawn 0", "drawn 1"]


@pytest.mark.parametrize(
    "numbers", [{"large": 2**63}, {"large": -(2**63) - 1}, {"large": 10**40}, {"small": 2**64}]
)
def test_numbers_that_no_column_holds_are_bad_requests(toy_on: Toy, numbers: Any) -> None:
    answer = toy_on.ask("POST", "/numbers", numbers, "member")
    assert answer.status == 400, answer
    assert toy_on.names() == []
    assert toy_on.ask("POST", "/numbers", {"large": 2**63 - 1}, "member").status == 204


def test_requests_that_wait_for_each_other_are_both_carried_out(toy_on: Toy) -> None:
    one, two = make(toy_on, "bear")["id"], make(toy_on, "duck")["id"]

    async def at_once() -> list[Answer]:
        token = [(b"x-auth-token", b"member")]
        paths = [f"/toy/toys/{one}/swap/{two}", f"/toy/toys/{two}/swap/{one}"]
        return await asyncio.gather(
            *(toy_on.send_async("POST", path, headers=token) for path in paths)
        )

    assert [each.status for each in toy_on.loop.run_until_complete(at_once())] == [204, 204]
    with toy_on.database.transaction(write=False) as session:
        assert list(session.scalars(select(ToyRecord.small))) == [2, 2]


# Threads


def test_what_blocks_runs_on_a_thread_and_keeps_its_trace(toy: Toy) -> None:
    toy.gate.opened.set()
    name, is_traced = toy.ask("POST", "/slow").body["value"]
    assert name.startswith("operation")
    assert is_traced
    assert not toy.ask("GET", "/here").body["value"].startswith("operation")


def test_too_many_at_once_are_told_to_come_back(toys: Toys) -> None:
    toy = toys(threads=2, waiting=3)

    async def flood() -> tuple[list[int], Any, int]:
        waiting = [asyncio.create_task(toy.send_async("POST", "/toy/slow")) for _ in range(3)]
        await asyncio.sleep(0.05)
        refused = await toy.send_async("POST", "/toy/slow")
        quick = await toy.send_async("GET", "/toy/here")
        toy.gate.opened.set()
        statuses = [answer.status for answer in await asyncio.gather(*waiting)]
        again = await toy.send_async("POST", "/toy/slow")
        return statuses, refused, quick.status + again.status

    statuses, refused, others = toy.loop.run_until_complete(flood())
    assert statuses == [200, 200, 200]
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert others == 400


# Ids


def test_every_answer_has_a_request_id_of_its_own(toy: Toy) -> None:
    answers = [toy.ask("GET", path) for path in ("/here", "/here", "/nowhere", "/toys", "/query?x")]
    ids = [answer.headers["x-openstack-request-id"] for answer in answers]
    assert all(REQUEST_ID.fullmatch(each) for each in ids)
    assert len(set(ids)) == 5


def test_a_callers_own_request_id_is_logged_and_leads_to_the_trace(
    toy: Toy, logged: Logged
) -> None:
    theirs = "req-3d1a9e07-1c2f-4b8d-9d53-6a0f3b2f7c11"
    answer = toy.ask("GET", "/here", x_openstack_request_id=theirs)
    ours = answer.headers["x-openstack-request-id"]
    assert ours != theirs
    line = logged()[-1]
    assert (line["request_id"], line["global_request_id"]) == (ours, theirs)
    assert [kept.request_id for kept in trace.find(theirs)] == [ours]


@pytest.mark.parametrize(
    "theirs", ["req-", "not-one", "req-1\n", "3d1a9e07-1c2f-4b8d-9d53-6a0f3b2f7c11"]
)
def test_what_is_no_request_id_is_ignored(toy: Toy, theirs: str, logged: Logged) -> None:
    assert toy.ask("GET", "/here", x_openstack_request_id=theirs).status == 200
    assert "global_request_id" not in logged()[-1]
    assert trace.find(theirs) == []


def test_an_unexpected_error_shows_in_the_log_and_not_in_the_answer(
    toy: Toy, logged: Logged
) -> None:
    answer = toy.ask("POST", "/broken", token="member")
    assert answer.status == 500
    assert answer.body["error"]["title"] == "Internal Server Error"
    found = [line for line in logged() if line["level"] == "error"]
    assert found[0]["request_id"] == answer.headers["x-openstack-request-id"]
    assert found[0]["error"] == "RuntimeError"
    assert any("toy_service.py" in where for where in found[0]["where"])


def test_libraries_log_through_ours(logged: Logged) -> None:
    logging.getLogger("library").warning("from %s", "afar")
    line = logged()[-1]
    assert (line["message"], line["logger"], line["level"]) == ("from afar", "library", "warning")
