"""Entity tags, byte ranges and content types, as functions and as a server answers them."""

from collections.abc import Iterator

import pytest

from onestack.core.conditions import Range, byte_range, check_match, content_range, matches
from onestack.core.errors import PreconditionFailed, RangeNotSatisfiable
from tests.core.stream_service import Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    running = Served(tmp_path_factory.mktemp("served"))
    yield running
    running.close()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-5", (95, 100)),
        ("bytes=-500", (0, 100)),
        ("Bytes = 3 - 4", (3, 5)),
        ("bytes=9-3", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("items=0-1", None),
        ("bytes=a-b", None),
        (f"bytes=0-{'9' * 5000}", None),
        ("", None),
    ],
)
def test_a_range_is_understood_or_ignored(asked: str, expected: tuple[int, int] | None) -> None:
    found = byte_range({"range": asked}, 100)
    assert found == (Range(*expected, 100) if expected else None)


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_outside_is_refused_with_the_size(asked: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refusal:
        byte_range({"range": asked}, 100)
    assert refusal.value.headers == {"Content-Range": "bytes */100"}


def test_nothing_has_no_parts() -> None:
    for asked in ("bytes=0-0", "bytes=0-", "bytes=-1"):
        with pytest.raises(RangeNotSatisfiable):
            byte_range({"range": asked}, 0)


def test_a_range_of_another_version_is_ignored() -> None:
    headers = {"range": "bytes=0-1", "if-range": '"a"'}
    assert byte_range(headers, 100, '"a"') == Range(0, 2, 100)
    for etag in ('"b"', 'W/"a"', None):
        assert byte_range(headers, 100, etag) is None


def test_a_part_named_by_content_range() -> None:
    assert content_range({}, 100) is None
    for asked in ("bytes 0-9/100", "bytes 0-9/*"):
        found = content_range({"content-range": asked}, 100)
        assert found == Range(0, 10, 100)
    assert found is not None
    assert found.content_range == "bytes 0-9/100"
    for wrong in ("bytes 0-9/50", "bytes 9-3/100", "bytes 0-100/100", "0-9/100", "bytes */100"):
        with pytest.raises(RangeNotSatisfiable):
            content_range({"content-range": wrong}, 100)


def test_tags_match_quoted_bare_weak_and_any() -> None:
    for listed in ('"a"', "a", 'W/"a"', '"x", "a"', "x,a", '"x,y" , W/"a"', "*", " * "):
        assert matches(listed, '"a"'), listed
        assert matches(listed, "a"), listed
    for listed in ('"b"', "", '"x,a"', '"a', "aa", '"A"'):
        assert not matches(listed, '"a"'), listed
    assert not matches('W/"a"', '"a"', is_strong=True)
    assert not matches('"a"', 'W/"a"', is_strong=True)


def test_conditions_that_hold_and_that_do_not() -> None:
    for headers, etag in (
        ({}, '"a"'),
        ({}, None),
        ({"if-match": '"a"'}, '"a"'),
        ({"if-match": "*"}, '"a"'),
        ({"if-none-match": "*"}, None),
        ({"if-none-match": '"b"'}, '"a"'),
    ):
        check_match(headers, etag)
    for headers, etag in (
        ({"if-match": '"b"'}, '"a"'),
        ({"if-match": 'W/"a"'}, '"a"'),
        ({"if-match": "*"}, None),
        ({"if-none-match": "*"}, '"a"'),
        ({"if-none-match": '"a"'}, '"a"'),
    ):
        with pytest.raises(PreconditionFailed):
            check_match(headers, etag)


def test_what_the_client_has_already_is_not_sent(served: Served) -> None:
    status, headers, content = served.ask("GET", "/tagged")
    assert (status, headers["etag"], content) == (200, '"v1"', b'{"name":"x"}')
    for method in ("GET", "HEAD"):
        status, headers, content = served.ask(method, "/tagged", if_none_match='"v1"')
        assert (status, headers["etag"], headers["x-extra"], content) == (304, '"v1"', "1", b"")
        assert served.ask(method, "/tagged", if_none_match='"v0"')[0] == 200


def test_a_change_of_what_is_no_more_is_refused(served: Served) -> None:
    assert served.ask("PUT", "/tagged", if_match='"v1"')[0] == 204
    assert served.ask("PUT", "/tagged", if_match='"v0"')[0] == 412
    assert served.ask("PUT", "/tagged", if_none_match="*")[0] == 412
    assert served.ask("PUT", "/missing", if_none_match="*")[0] == 204
    assert served.ask("PUT", "/missing", if_match="*")[0] == 412


def test_a_body_of_the_operations_types_is_taken(served: Served) -> None:
    for kind in ("application/x-patch", "Application/X-Patch-2; charset=utf-8"):
        status, _, content = served.ask("PATCH", "/patched", b'["a"]', content_type=kind)
        assert (status, content) == (200, b'["a"]')


@pytest.mark.parametrize("kind", ["application/json", "", "text/plain"])
def test_a_body_of_another_type_is_refused(served: Served, kind: str) -> None:
    given = {"content_type": kind} if kind else {}
    status, headers, content = served.ask("PATCH", "/patched", b'["a"]', **given)
    assert status == 415
    assert headers["accept-patch"] == "application/x-patch, application/x-patch-2"
    assert b"application/x-patch-2" in content


def test_a_stream_of_another_type_is_refused_unread(served: Served) -> None:
    assert served.ask("PUT", "/blobs", b"{}", content_type="application/json")[0] == 415
    assert served.ask("PUT", "/blobs", content_type="application/json")[0] == 200
    served.store.opened.set()
    assert served.ask("PUT", "/slow", b"{}", content_type="application/json")[0] == 200


def test_documents_say_which_bodies_are_bytes(served: Served) -> None:
    paths = served.application.services[0].openapi()["paths"]
    binary = {"schema": {"type": "string", "format": "binary"}}
    assert paths["/s/blobs"]["put"]["requestBody"]["content"] == {
        "application/octet-stream": binary
    }
    answer = paths["/s/file"]["get"]["responses"]["200"]
    assert answer["content"] == {"application/octet-stream": binary}
    assert "requestBody" not in paths["/s/file"]["get"]
    assert list(paths["/s/patched"]["patch"]["requestBody"]["content"]) == [
        "application/x-patch", "application/x-patch-2"
    ]  # fmt: skip
