"""Key files: made once, rotated safely, seen by other processes."""

import multiprocessing
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from onestack.identity.keys import JwsKeys, KeyRepository, KeysUnreadable


class PowerCut(BaseException):
    """Stands for the machine going down: nothing may catch it and carry on."""


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_and_read(folder: Path) -> tuple[bytes, ...]:
    return KeyRepository(folder, 3).all


def test_an_empty_folder_gets_a_staged_and_a_primary_key(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "keys"
    keys = KeyRepository(folder, 3)
    assert names(folder) == {"0", "1"}
    assert keys.primary == (folder / "1").read_bytes()
    assert keys.all == ((folder / "1").read_bytes(), (folder / "0").read_bytes())
    assert mode(folder) == 0o700
    assert {mode(folder / name) for name in ("0", "1")} == {0o600}


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    assert KeyRepository(tmp_path, 3).all == KeyRepository(tmp_path, 3).all


def test_processes_and_threads_that_race_end_with_the_same_keys(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as processes:
        by_processes = set(processes.map(open_and_read, [tmp_path / "a"] * 4))
    with ThreadPoolExecutor(8) as threads:
        by_threads = set(threads.map(open_and_read, [tmp_path / "b"] * 16))
    assert len(by_processes) == len(by_threads) == 1


def test_rotation_promotes_the_staged_key_and_keeps_reading_old_tokens(tmp_path: Path) -> None:
    keys = KeyRepository(tmp_path, 3)
    staged, first = keys.all[-1], keys.primary
    token = keys.fernet.encrypt(b"old")
    keys.rotate()
    assert names(tmp_path) == {"0", "1", "2"}
    assert keys.primary == staged
    assert keys.all[1] == first
    assert keys.all[2] not in (staged, first)
    assert keys.fernet.decrypt(token) == b"old"


def test_the_oldest_key_goes_when_there_are_too_many(tmp_path: Path) -> None:
    keys = KeyRepository(tmp_path, 3)
    token = keys.fernet.encrypt(b"old")
    keys.rotate()
    keys.rotate()
    assert names(tmp_path) == {"0", "2", "3"}
    with pytest.raises(InvalidToken):
        keys.fernet.decrypt(token)


def test_another_process_sees_a_rotation_at_once(tmp_path: Path) -> None:
    one, other = KeyRepository(tmp_path, 3), KeyRepository(tmp_path, 3)
    for _ in range(20):
        one.rotate()
        assert other.fernet.decrypt(one.fernet.encrypt(b"new")) == b"new"
        assert other.all == one.all
    assert other.reload_if_changed() is False


def test_a_staged_key_brought_in_place_is_seen(tmp_path: Path) -> None:
    keys = KeyRepository(tmp_path, 3)
    brought = Fernet.generate_key()
    (tmp_path / "0").write_bytes(brought + b"\n")
    os.utime(tmp_path / "0", ns=(1, 1))
    assert keys.all[-1] == brought


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    keys = KeyRepository(tmp_path, 3)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "0", tmp_path)}
    brought = Fernet.generate_key()
    (tmp_path / "new").write_bytes(brought)
    (tmp_path / "new").rename(tmp_path / "0")
    for path, time_ns in times.items():
        os.utime(path, ns=(time_ns, time_ns))
    assert keys.all[-1] == brought


@pytest.mark.parametrize("cut", range(40))
def test_a_rotation_may_be_cut_short_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    keys = KeyRepository(tmp_path, 3)
    keys.rotate()
    staged = keys.all[-1]
    token = keys.fernet.encrypt(b"before")
    with monkeypatch.context() as patch:
        cut_power_after(patch, cut)
        try:
            keys.rotate()
        except PowerCut:
            interrupted = True
        else:
            interrupted = False
    reader = KeyRepository(tmp_path, 3)
    assert reader.fernet.decrypt(token) == b"before"
    assert reader.all == keys.all
    assert len(set(reader.all)) == len(reader.all) in (3, 4)
    assert interrupted or reader.primary == staged
    assert staged in reader.all
    keys.rotate()
    assert len(keys.all) == 3
    assert not list(tmp_path.glob(".new-*"))


def test_the_cuts_above_reach_past_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeyRepository(tmp_path, 3)
    with monkeypatch.context() as patch:
        steps = cut_power_after(patch, 10**6)
        keys.rotate()
    assert 5 < len(steps) < 40


def test_creation_may_be_cut_short_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cut in range(40):
        folder = tmp_path / str(cut)
        with monkeypatch.context() as patch:
            cut_power_after(patch, cut)
            with suppress(PowerCut):
                KeyRepository(folder, 3)
        assert len(KeyRepository(folder, 3).all) == 2
        assert names(folder) == {"0", "1"}


def test_an_interrupted_rotation_is_finished_and_not_doubled(tmp_path: Path) -> None:
    keys = KeyRepository(tmp_path, 3)
    staged = keys.all[-1]
    (tmp_path / "0").rename(tmp_path / "2")
    keys.rotate()
    assert keys.primary == staged
    assert names(tmp_path) == {"0", "1", "2"}


def test_a_lone_staged_key_becomes_the_primary(tmp_path: Path) -> None:
    brought = Fernet.generate_key()
    (tmp_path / "0").write_bytes(brought)
    assert KeyRepository(tmp_path, 3).primary == brought


def test_other_files_are_no_keys(tmp_path: Path) -> None:
    for name in ("README", "01", "-1", "1.old", "²"):
        (tmp_path / name).write_text("no key")
    assert len(KeyRepository(tmp_path, 3).all) == 2


def test_a_broken_key_is_named_at_the_start_and_survived_later(tmp_path: Path) -> None:
    keys = KeyRepository(tmp_path, 3)
    before = keys.all
    (tmp_path / "7").write_bytes(b"half a k")
    assert keys.all == before
    with pytest.raises(KeysUnreadable, match="/7 is not a Fernet key"):
        KeyRepository(tmp_path, 3)
    whole = Fernet.generate_key()
    (tmp_path / "7").write_bytes(whole)
    assert keys.primary == whole


def test_a_dangling_link_ends_in_an_error_and_not_in_a_loop(tmp_path: Path) -> None:
    KeyRepository(tmp_path, 3)
    (tmp_path / "9").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeysUnreadable):
        KeyRepository(tmp_path, 3)


def test_keys_in_memory_outlive_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys = KeyRepository(folder, 3)
    before = keys.all
    folder.rename(tmp_path / "gone")
    assert keys.all == before


def test_fewer_than_two_active_keys_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        KeyRepository(tmp_path, 1)


def test_signing_keys_are_made_once_and_private(tmp_path: Path) -> None:
    keys = JwsKeys(tmp_path / "jws")
    again = JwsKeys(tmp_path / "jws")
    signature = keys.private.sign(b"text", ec.ECDSA(SHA256()))
    again.public[0].verify(signature, b"text", ec.ECDSA(SHA256()))
    assert mode(tmp_path / "jws" / "private.pem") == 0o600
    assert len(keys.public) == 1


def test_signing_key_rotation_is_seen_and_keeps_the_old_public_key(tmp_path: Path) -> None:
    keys, other = JwsKeys(tmp_path), JwsKeys(tmp_path)
    old = keys.public[0]
    keys.rotate()
    assert other.public[0] == keys.private.public_key() != old
    assert old in other.public
    assert len(other.public) == 2


def test_a_private_key_that_was_brought_alone_is_used(tmp_path: Path) -> None:
    made = JwsKeys(tmp_path / "made")
    brought = tmp_path / "brought"
    brought.mkdir()
    (brought / "private.pem").write_bytes((tmp_path / "made" / "private.pem").read_bytes())
    assert JwsKeys(brought).public == made.public


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    JwsKeys(tmp_path)
    (tmp_path / "private.pem").write_text("no key")
    with pytest.raises(KeysUnreadable, match=r"private\.pem"):
        JwsKeys(tmp_path)


def cut_power_after(patch: pytest.MonkeyPatch, count: int) -> list[str]:
    """Let `count` system calls that write happen; the next one and all after it do not."""
    steps: list[str] = []

    def interrupt(module: object, name: str) -> None:
        real = getattr(module, name)

        def call(*arguments: object, **options: object) -> object:
            if len(steps) >= count:
                raise PowerCut
            steps.append(name)
            return real(*arguments, **options)

        patch.setattr(module, name, call)

    for name in ("write", "fsync"):
        interrupt(os, name)
    for name in ("rename", "unlink", "mkdir"):
        interrupt(Path, name)
    return steps
