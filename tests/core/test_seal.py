"""What is sealed was signed by this cloud, for one purpose, for a while."""

import stat
from pathlib import Path

import pytest
from cryptography.fernet import InvalidToken

from onestack.core import clock, seal
from onestack.core.seal import Seal

KEY = Seal(b"k" * 32)


def test_a_signature_is_for_one_text_and_one_key() -> None:
    signed = KEY.sign("a guest")
    assert KEY.accepts("a guest", signed)
    assert not KEY.accepts("another", signed)
    assert not Seal(b"x" * 32).accepts("a guest", signed)
    assert not KEY.accepts("a guest", "\ud800 not even a text")


def test_what_is_derived_opens_nothing_else() -> None:
    one, other = KEY.derive("one"), KEY.derive("other")
    assert not other.accepts("text", one.sign("text"))
    assert not KEY.accepts("text", one.sign("text"))


def test_what_is_closed_is_read_with_its_key_alone() -> None:
    closed = KEY.close(b"a password")
    assert "password" not in closed
    assert KEY.open(closed) == b"a password"
    with pytest.raises(InvalidToken):
        KEY.derive("other").open(closed)


def test_a_grant_ends() -> None:
    with clock.use(clock.Simulated(1)) as time:
        assert isinstance(time, clock.Simulated)
        grant = KEY.grant("GET image", 60)
        assert KEY.admits("GET image", grant)
        assert not KEY.admits("PUT image", grant)
        later = f"{int(grant.partition('.')[0]) + 1000}.{grant.partition('.')[2]}"
        assert not KEY.admits("GET image", later)
        time.advance(61)
        assert not KEY.admits("GET image", grant)


@pytest.mark.parametrize("grant", ["", ".", "x.y", "-1.aa", "9" * 30 + ".aa", "\uff11\uff12.aa"])
def test_nonsense_admits_nobody(grant: str) -> None:
    assert not KEY.admits("GET image", grant)


def test_a_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "cloud"
    first = seal.of_file(path)
    assert seal.of_file(path) == first
    assert len(first.key) == seal.KEY_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["cloud"]
    assert "key" not in repr(first)
