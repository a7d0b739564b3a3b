"""Moments that clients write."""

import datetime as dt

import pytest

from onestack.core import moments


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2026-01-01T12:00:00", dt.datetime(2026, 1, 1, 12)),
        ("2026-01-01T12:00:00Z", dt.datetime(2026, 1, 1, 12)),
        ("2026-01-01T12:00:00+02:00", dt.datetime(2026, 1, 1, 10)),
    ],
)
def test_a_moment_is_in_utc_and_without_a_zone(text: str, read: dt.datetime) -> None:
    assert moments.read(text) == read


@pytest.mark.parametrize("text", ["", "soon", "0001-01-01T00:00:00+23:00", "2026-13-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        moments.read(text)


def test_a_moment_is_written_as_exact_as_it_is_known() -> None:
    assert moments.precise(dt.datetime(2026, 1, 1)) == "2026-01-01T00:00:00.000000"
    assert moments.precise(None) is None
