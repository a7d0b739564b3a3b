"""One-time passwords, against the RFC's own table."""

import base64
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestack.identity.auth.totp import counter, matching_counter, passcode, verify

SECRET = base64.b32encode(b"12345678901234567890").decode()
EPOCH = dt.datetime(1970, 1, 1)


def at(seconds: int) -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_table_of_rfc_6238(seconds: int, expected: str) -> None:
    assert passcode(SECRET, counter(at(seconds))) == expected
    assert verify(expected, SECRET, at(seconds), 0)


def test_previous_windows_count_as_far_as_told_and_later_ones_never() -> None:
    code = passcode(SECRET, 100)
    assert [verify(code, SECRET, at(30 * n), 1) for n in (99, 100, 101, 102)] == [
        False,
        True,
        True,
        False,
    ]
    assert not verify(code, SECRET, at(30 * 101), 0)
    assert matching_counter(code, SECRET, at(30 * 101 + 29), 1) == 100


def test_the_first_window_of_time_has_no_previous_one() -> None:
    assert verify(passcode(SECRET, 0), SECRET, at(10), 5)


def test_secrets_come_in_small_letters_groups_and_without_padding() -> None:
    code = passcode(SECRET, 7)
    for spelling in (SECRET.lower(), " ".join(SECRET), SECRET.rstrip("=")):
        assert verify(code, spelling, at(7 * 30), 0)


@given(given=st.text())
def test_nonsense_is_refused(given: str) -> None:
    right = passcode(SECRET, 4)
    assert verify(given, SECRET, at(4 * 30), 0) == (given == right)


@given(secret=st.text(st.characters(exclude_categories=("L", "N"))))
def test_a_secret_that_is_none_lets_nobody_in(secret: str) -> None:
    assert not verify("000000", secret, at(0), 1)


@pytest.mark.parametrize("secret", ["", "1", "AB1", "ÄÖÜ", "=", "A", "\ud800"])
def test_a_broken_secret_lets_nobody_in(secret: str) -> None:
    assert not verify("755224", secret, at(0), 1)
