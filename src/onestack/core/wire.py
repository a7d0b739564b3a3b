"""Answers as they go over the wire."""

from collections.abc import Sequence
from http import HTTPStatus

from onestack.core.response import BODILESS, Header, Response

CLOSE = (b"connection", b"close")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}".encode() for each in HTTPStatus}


class BadHeader(ValueError):
    """A header whose value would end its line."""


def whole(response: Response, method: str, default: Sequence[Header], *, is_last: bool) -> bytes:
    """An answer that is here in one piece."""
    is_bodiless = response.status in BODILESS
    headers = [*default, *response.headers]
    if not is_bodiless:
        headers.append((b"content-length", b"%d" % len(response.content)))
    top = head(response.status, headers, is_last=is_last)
    return top if is_bodiless or method == "HEAD" else top + response.content


def head(status: int, headers: Sequence[Header], *, is_last: bool) -> bytes:
    """What comes before the body; the last answer on a connection says that it is."""
    lines = [_LINES[status], *map(b": ".join, headers)]
    if is_last:
        lines.append(b": ".join(CLOSE))
    text = b"\r\n".join(lines)
    ends = len(lines) - 1
    if text.count(b"\n") != ends or text.count(b"\r") != ends or b"\0" in text:
        raise BadHeader
    return text + b"\r\n\r\n"


def chunk(piece: bytes, *, is_last: bool) -> bytes:
    """A piece of a body whose length nobody knows yet."""
    text = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
    return text + b"0\r\n\r\n" if is_last else text


def handshake(method: bytes, url: bytes, headers: Sequence[Header]) -> bytes:
    """A request's head as it came, but for the case of its headers' names."""
    lines = [b"%b %b HTTP/1.1" % (method, url)]
    lines += [b"%b: %b" % (name.lower(), value) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _closing(status: int, content: bytes) -> bytes:
    """An answer after which there is nothing more to say."""
    return whole(Response(status, content, []), "GET", (), is_last=True)


NO_HTTP = _closing(400, b"The request is no valid HTTP/1.1.")
HEAD_TOO_LARGE = _closing(431, b"")
FAILED = _closing(500, b"")
