"""Passwords: kept, checked at equal cost, imported from Keystone, judged."""

import os
import threading
import time
from concurrent.futures import Future

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onestack.identity.passwords import (
    PASSWORD_LIMIT,
    Hashing,
    PasswordTooLong,
    PasswordTooWeak,
    Strength,
    TooBusy,
    dummy,
    hash_password,
    outdated,
    verify,
)

ROUNDS = 4
# Each of these is the word "password", as Keystone's own hashing writes it.
IMPORTED = {
    "bcrypt_sha256": (
        "$bcrypt-sha256$v=2,t=2b,r=12$n79VH.0Q2TMWmt3Oqt9uku$Kq4Noyk3094Y2QlB8NdRT8SvGiI4ft2"
    ),
    "scrypt": (
        "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
    ),
    "pbkdf2": (
        "$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX"
        ".esqY3s.FvWZViXz4KoLlQI.BzY/YTNJOiKc5gBYFYGww"
    ),
}
words = st.text(max_size=20) | st.text("aé\0", min_size=60, max_size=90)


@given(one=words, other=words)
@settings(deadline=None, max_examples=60)
def test_a_password_opens_its_own_hash_only(one: str, other: str) -> None:
    stored = hash_password(one, ROUNDS)
    assert verify(one, stored)
    assert verify(other, stored) == (one == other)


@pytest.mark.parametrize("length", [71, 72, 73, 200, PASSWORD_LIMIT])
def test_every_character_of_a_long_password_counts(length: int) -> None:
    stored = hash_password("a" * length, ROUNDS)
    assert verify("a" * length, stored)
    assert not verify("a" * (length - 1), stored)
    assert not verify("a" * (length - 1) + "b", stored)
    if length < PASSWORD_LIMIT:
        assert not verify("a" * (length + 1), stored)


def test_a_nul_does_not_repeat_a_password() -> None:
    assert not verify("abc\0abc", hash_password("abc", ROUNDS))
    assert not verify("abc", hash_password("abc\0abc", ROUNDS))


def test_the_form_tells_what_was_used() -> None:
    assert hash_password("short", ROUNDS).startswith("$2b$04$")
    assert hash_password("l" * 72, ROUNDS).startswith("$bcrypt-sha256$v=2,t=2b,r=4$")
    assert hash_password("same", ROUNDS) != hash_password("same", ROUNDS)


@pytest.mark.parametrize("kind", IMPORTED)
def test_hashes_from_keystone_are_read(kind: str) -> None:
    assert verify("password", IMPORTED[kind])
    assert not verify("Password", IMPORTED[kind])
    assert outdated(IMPORTED[kind], ROUNDS)


def test_a_long_password_that_keystone_cut_still_opens() -> None:
    assert verify("x" * 100, hash_password_as_keystone("x" * 72))


@pytest.mark.parametrize(
    "stored",
    ["", "plain", "$2b$99$" + "a" * 53, "$2b$04$", "$scrypt$ln=29,r=8,p=1$YQ$YQ", "$1$a$b",
     "$scrypt$ln=0,r=0,p=0$YQ$YQ", "$pbkdf2-sha512$0$YQ$YQ", "$pbkdf2-sha512$1$YQ$Y",
     "$bcrypt-sha256$v=2,t=2b,r=3$" + "a" * 22 + "$" + "b" * 31, "$2b$04$é" + "a" * 52],
)  # fmt: skip
def test_an_unreadable_hash_opens_for_nobody(stored: str) -> None:
    assert not verify("plain", stored)


def test_outdated_tells_what_to_store_anew() -> None:
    for text in ("short", "l" * 100):
        assert not outdated(hash_password(text, ROUNDS), ROUNDS)
        assert outdated(hash_password(text, ROUNDS), ROUNDS + 1)


def test_an_unknown_user_costs_what_a_wrong_password_costs() -> None:
    rounds = 8
    stored = hash_password("right", rounds)
    assert not verify("wrong", dummy(rounds))
    known, unknown, long = (
        min(cost(text, against) for _ in range(15))
        for text, against in (
            ("wrong", stored),
            ("wrong", dummy(rounds)),
            ("w" * 3000, stored),
        )
    )
    assert unknown == pytest.approx(known, rel=0.25)
    assert long == pytest.approx(known, rel=0.25)


def test_a_dummy_is_at_hand_without_hashing() -> None:
    begin = time.thread_time()
    dummy(17)
    assert time.thread_time() - begin < 0.5


def test_a_giant_password_is_refused_before_any_work() -> None:
    giant = "a" * (PASSWORD_LIMIT + 1)
    begin = time.thread_time()
    with pytest.raises(PasswordTooLong, match="4096"):
        verify(giant, dummy(12))
    with pytest.raises(PasswordTooLong):
        hash_password(giant, 12)
    with pytest.raises(PasswordTooLong):
        Strength("^(a+)+$", None).check(giant)
    assert time.thread_time() - begin < 0.05


def test_strength() -> None:
    strength = Strength(r"^(?=.*\d).{7,}$", "seven characters with a digit")
    strength.check("secret 7")
    with pytest.raises(PasswordTooWeak, match="seven characters with a digit"):
        strength.check("secret")
    Strength(None, None).check("")


def test_hashing_runs_on_threads_of_low_priority() -> None:
    hashing = Hashing(threads=1)
    try:
        assert hashing.run(verify, "right", hash_password("right", ROUNDS)).result(60)
        lowest = 19
        assert hashing.run(own_priority).result(60) == min(own_priority() + 10, lowest)
        assert own_priority() == os.getpriority(os.PRIO_PROCESS, 0)
    finally:
        hashing.close()


def test_what_goes_wrong_reaches_the_caller() -> None:
    hashing = Hashing(threads=1)
    try:
        with pytest.raises(PasswordTooLong):
            hashing.run(hash_password, "a" * 5000, ROUNDS).result(60)
    finally:
        hashing.close()


def test_a_full_queue_turns_away_and_takes_again_once_it_is_empty() -> None:
    hashing, gate = Hashing(threads=1, queue=3), threading.Event()
    try:
        for _ in range(5):
            waiting: list[Future[bool]] = [hashing.run(gate.wait, 10) for _ in range(4)]
            with pytest.raises(TooBusy):
                hashing.run(gate.wait, 10)
            waiting[-1].cancel()
            waiting[-1] = hashing.run(gate.wait, 10)
            gate.set()
            assert all(future.result(60) for future in waiting)
            while hashing.run(int).result(60):
                pass
            gate.clear()
    finally:
        gate.set()
        hashing.close()


def cost(text: str, stored: str) -> float:
    begin = time.thread_time()
    verify(text, stored)
    return time.thread_time() - begin


def own_priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def hash_password_as_keystone(text: str) -> str:
    return bcrypt.hashpw(text.encode()[:72], bcrypt.gensalt(ROUNDS)).decode()
