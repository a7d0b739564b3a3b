"""What a request asks for under a condition, or of a part: entity tags and byte ranges."""

import re
from collections.abc import Mapping

import msgspec

from onestack.core.errors import PreconditionFailed, RangeNotSatisfiable

_TAG = re.compile(r'\s*(?:(W/)?"([^"]*)"|([^\s,"]+))\s*(?:,|$)')
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)


class Range(msgspec.Struct, frozen=True):
    """Some of a content's bytes: from `start` up to `end`, which is not one of them."""

    start: int
    end: int
    total: int

    @property
    def size(self) -> int:
        return self.end - self.start

    @property
    def content_range(self) -> str:
        """As an answer says which part it is."""
        return f"bytes {self.start}-{self.end - 1}/{self.total}"


def byte_range(headers: Mapping[str, str], total: int, etag: str | None = None) -> Range | None:
    """The part of `total` bytes that a request wants; None when it wants, or gets, all of them.

    A header that is malformed, or names several parts, is answered with everything, as HTTP has
    it; so is one for another version of the content than `etag`.
    """
    asked = _RANGE.fullmatch(headers.get("range", "").strip())
    if asked is None or not (asked[1] or asked[2]):
        return None
    if "if-range" in headers and (etag is None or not _is_same(headers["if-range"], etag)):
        return None
    if not asked[1]:
        start, end = max(total - int(asked[2]), 0), total
    else:
        start, end = int(asked[1]), min(int(asked[2] or total) + 1, total)
        if asked[2] and int(asked[2]) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiable(total=total).with_headers(Content_Range=f"bytes */{total}")
    return Range(start, end, total)


def content_range(headers: Mapping[str, str], total: int) -> Range | None:
    """The part that a request names by `Content-Range`, as old image clients ask for one."""
    if "content-range" not in headers:
        return None
    asked = _CONTENT_RANGE.fullmatch(headers["content-range"].strip())
    refusal = RangeNotSatisfiable(total=total).with_headers(Content_Range=f"bytes */{total}")
    if asked is None or asked[3] not in ("*", str(total)):
        raise refusal
    start, end = int(asked[1]), int(asked[2]) + 1
    if not start < end <= total:
        raise refusal
    return Range(start, end, total)


def is_unmodified(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client says that it has this version already."""
    return "if-none-match" in headers and matches(headers["if-none-match"], etag)


def check_match(headers: Mapping[str, str], etag: str | None) -> None:
    """Refuse a request whose conditions do not hold of what is there; None: nothing is."""
    wanted = headers.get("if-match")
    if wanted is not None and (etag is None or not matches(wanted, etag, is_strong=True)):
        raise PreconditionFailed
    unwanted = headers.get("if-none-match")
    if unwanted is not None and etag is not None and matches(unwanted, etag):
        raise PreconditionFailed


def matches(listed: str, etag: str, *, is_strong: bool = False) -> bool:
    """Whether an entity tag is among those that a header lists."""
    if listed.strip() == "*":
        return True
    position = 0
    while (found := _TAG.match(listed, position)) is not None:
        if _is_same(found[0], etag, is_strong):
            return True
        position = found.end()
    return False


def _is_same(given: str, etag: str, is_strong: bool = True) -> bool:
    """Whether two tags are equal, quoted or bare: both are in use."""
    left, right = _TAG.match(given), _TAG.match(etag)
    if left is None or right is None or (is_strong and (left[1] or right[1])):
        return False
    return (left[2] or left[3]) == (right[2] or right[3])
