"""Routes: which operation a path leads to, and which paths an access rule allows."""

import time

import pytest
from msgspec.structs import replace

from onestack.core.api import Operations, Service
from onestack.core.observe import PlainStyle
from onestack.core.routes import PROJECT, Routes, path_matches
from tests.core.toy_service import ANYONE


def service(root: str, *paths: str) -> Service:
    noun = Operations("things")
    for path in paths:
        method, _, rest = path.partition(" ")
        noun(method, rest, ANYONE)(lambda _ctx, **_ids: None)
    name = root.strip("/") or "root"
    return Service(
        name=name, type=name, title=name, root=root, version="1", nouns=(noun,), style=PlainStyle()
    )


ROUTES = Routes([
    service("", "GET /", "GET /healthz"),
    service(
        "/a", "GET /", "GET /v1/things", "POST /v1/things", "GET /v1/things/{thing_id}",
        "PATCH /v1/things/{thing_id}", "GET /v1/things/detail", "GET /v1/{kind}/{one}/end",
        "GET /v1/things/{thing_id}/parts/{part_id}",
    ),
    service("/a/deeper", "GET /x"),
    service("/files", "GET /{name*}", "GET /new/{file_id}", "GET /new/{file_id}/x"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("path", "template", "parameters"),
    [
        ("/", "/", {}),
        ("/healthz", "/healthz", {}),
        ("/a", "/", {}),
        ("/a/", "/", {}),
        ("/a/v1/things", "/v1/things", {}),
        ("/a/v1/things/", "/v1/things", {}),
        ("/a/v1/things/7", "/v1/things/{thing_id}", {"thing_id": "7"}),
        ("/a/v1/things/detail", "/v1/things/detail", {}),
        ("/a/v1/things/detail/end", "/v1/{kind}/{one}/end", {"kind": "things", "one": "detail"}),
        ("/a/v1/x/y/end", "/v1/{kind}/{one}/end", {"kind": "x", "one": "y"}),
        ("/a/v1/things/7/parts/8", "/v1/things/{thing_id}/parts/{part_id}",
         {"thing_id": "7", "part_id": "8"}),
        ("/a/deeper/x", "/x", {}),
        ("/files/a", "/{name*}", {"name": "a"}),
        ("/files/a/b/c", "/{name*}", {"name": "a/b/c"}),
        ("/files/new/7", "/new/{file_id}", {"file_id": "7"}),
        ("/files/new/7/y", "/{name*}", {"name": "new/7/y"}),
    ],
)  # fmt: skip
def test_paths_lead_to_operations(path: str, template: str, parameters: dict[str, str]) -> None:
    _, by_method, found = ROUTES.find(path)
    assert by_method["GET"].path == template
    assert found == parameters


@pytest.mark.parametrize(
    ("path", "owner"),
    [("/a/nothing", "a"), ("/a/deeper/nothing", "a/deeper"), ("/b", "root"), ("/a/v1//", "a"),
     ("/a/v1/things//parts/8", "a"), ("/a/v1/things/7/parts", "a"), ("/ab", "root")],
)  # fmt: skip
def test_what_no_operation_answers_still_has_an_owner(path: str, owner: str) -> None:
    found, by_method, _ = ROUTES.find(path)
    assert found is not None
    assert (found.name, by_method) == (owner, {})


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("/v3/users", "/v3/users", True),
        ("/v3/users", "/v3/users/", False),
        ("/v3/users", "/v3/users/1", False),
        ("/v3/users/*", "/v3/users/1", True),
        ("/v3/users/*", "/v3/users/", False),
        ("/v3/users/*", "/v3/users/1/2", False),
        ("/v3/users/**", "/v3/users/1/2", True),
        ("/v3/**/2", "/v3/users/1/2", True),
        ("/v3/{any}/1", "/v3/users/1", True),
        ("/v3/{any}/1", "/v3/users/x/1", False),
        ("/v3/us*s", "/v3/users", True),
        ("/v3/us*s", "/v3/us/rs", False),
        ("/v3/u.ers", "/v3/users", False),
        ("/v3/(a|b)+", "/v3/a", False),
        ("**", "/v3/users", True),
        ("/v3/users", "/V3/users", False),
        ("/v3/users\n", "/v3/users", False),
    ],
)
def test_access_rules_fit_paths(pattern: str, path: str, fits: bool) -> None:
    assert path_matches(pattern, path) is fits


@pytest.mark.parametrize("pattern", ["/" + "*a" * 100, "/**" * 70, "/" + "**/a/" * 40, "/a*" * 70])
def test_no_pattern_takes_long(pattern: str) -> None:
    began = time.perf_counter()
    path_matches(pattern[:225], "/" + "a" * 4000 + "/" * 4000 + "b")
    assert time.perf_counter() - began < 0.5


def test_a_project_may_stand_first_where_the_service_lets_it() -> None:
    routes = Routes([replace(service("/v", "GET /v3/things/{thing_id}"), project_under="/v3")])
    _, by_method, found = routes.find("/v/v3/p/things/7")
    assert (by_method["GET"].path, found) == (
        "/v3/things/{thing_id}",
        {PROJECT: "p", "thing_id": "7"},
    )
    assert routes.find("/v/v3/things/7")[2] == {"thing_id": "7"}
    assert routes.find("/v/v3/p/q/things/7")[1] == {}
