"""Errors: their statuses, texts and headers."""

from collections.abc import Iterator

import pytest

from onestack import main  # noqa: F401 - the errors of every service
from onestack.core import errors
from onestack.core.context import Request
from onestack.core.errors import ApiError, Forbidden, NotFound
from onestack.core.exchange import failure
from onestack.core.observe import PlainStyle
from tests.core.toy_service import SERVICE


def every(kind: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    for each in kind.__subclasses__():
        yield each
        yield from every(each)


class Lost(NotFound):
    message = "Could not find {kind}: {name}."


REQUEST = Request("GET", "/x", "", {"host": "cloud:5000"})


def test_an_error_is_a_class_of_one_line() -> None:
    error = Lost(kind="toy", name="bear")
    assert (error.status, error.title) == (404, "Not Found")
    assert error.text == "Could not find toy: bear."
    assert NotFound("Another text").text == "Another text"


def test_what_a_client_sent_is_no_format() -> None:
    assert Lost(kind="toy", name="{kind}{0}{x.__class__}").text == (
        "Could not find toy: {kind}{0}{x.__class__}."
    )


@pytest.mark.parametrize("kind", [*every()], ids=lambda kind: kind.__name__)
def test_every_error_is_one_that_http_knows(kind: type[ApiError]) -> None:
    assert 400 <= kind.status < 600
    assert kind.title
    assert kind.message


def test_every_status_has_one_class_and_a_title_of_its_own() -> None:
    direct = ApiError.__subclasses__()
    named = [each for each in direct if each.__module__ == errors.__name__]
    statuses = [each.status for each in named]
    assert len(set(statuses)) == len(statuses)
    assert len({each.title for each in named}) == len(named)


def test_headers_and_hints() -> None:
    error = Forbidden(action="x").with_headers(Retry_After="5").with_hint("ask an admin")
    assert error.hint == "ask an admin"
    response = failure(error, SERVICE, REQUEST, "req-1")
    assert (b"retry-after", b"5") in response.headers


def test_a_refused_stranger_is_told_where_to_sign_in() -> None:
    response = failure(errors.Unauthorized(), SERVICE, REQUEST, "req-1")
    assert (
        dict(response.headers)[b"www-authenticate"] == b'Keystone uri="http://cloud:5000/identity"'
    )


def test_headers_cannot_be_split() -> None:
    request = Request("GET", "/x", "", {"host": 'a"\r\nx-evil: 1'})
    response = failure(errors.Unauthorized(), SERVICE, request, "req-1")
    for name, value in response.headers:
        assert b"\r" not in name + value
        assert b"\n" not in name + value


def test_an_error_before_any_service_has_an_envelope_too() -> None:
    own = failure(NotFound(), None, REQUEST, "req-1")
    assert own.status == 404
    assert own.content == failure(NotFound(), SERVICE, REQUEST, "req-1").content
    assert isinstance(SERVICE.style, PlainStyle)
