"""The backend of files with a real tgtd and QEMU's own initiator: what a guest would see."""

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from onestack.core import shell
from onestack.core.download import Source
from onestack.volume.backend import Connection, Have
from onestack.volume.drivers import files
from onestack.volume.drivers.files import FileBackend, FileOptions, NotFitting, NotHere
from tests.volume.iscsi.initiator import HOST, OTHER, Initiator, is_read, reading

MB = 1 << 20


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[FileBackend]:
    made = FileBackend(tmp_path / "volume", FileOptions())
    yield made
    made.take_down()


def test_what_is_written_is_there_and_gone_with_the_volume(backend: FileBackend) -> None:
    backend.create("v", 1)
    guest = Initiator(backend.export("v", "a", HOST))
    assert "wrote 1048576/1048576" in guest.run("write -P 171 5M 1M")
    assert is_read(guest.run(reading(171, "5M")))
    backend.unexport("v", "a")
    assert guest.is_refused()
    backend.delete("v")
    assert backend.inventory() == []


def test_only_who_was_let_in_is(backend: FileBackend) -> None:
    backend.create("v", 1)
    connection = backend.export("v", "a", HOST)
    assert not Initiator(connection).is_refused()
    assert Initiator(connection, OTHER).is_refused()
    wrong = Connection("iscsi", {**connection.data, "auth_password": "wrong-password-1"})
    assert Initiator(wrong).is_refused()
    backend.create("w", 1)
    known = {name: connection.data[name] for name in ("auth_username", "auth_password")}
    elsewhere = backend.export("w", "b", OTHER)
    mixed = Connection("iscsi", {**elsewhere.data, **known})
    assert Initiator(mixed, OTHER).is_refused()


def test_exporting_again_gives_the_same_and_lets_another_host_in(backend: FileBackend) -> None:
    backend.create("v", 1)
    first = backend.export("v", "a", HOST)
    assert backend.export("v", "a", HOST) == first
    assert backend.export("v", "a", OTHER, is_shared=True) == first  # as while a guest moves
    assert not Initiator(first, OTHER).is_refused()
    assert not Initiator(first, HOST).is_refused()
    backend.unexport("v", "a")
    backend.unexport("v", "a")


def test_detaching_cuts_off_a_guest_that_holds_on(backend: FileBackend) -> None:
    backend.create("v", 1)
    backend.create("other", 1)
    guest = Initiator(backend.export("v", "a", HOST)).begin()
    assert guest.stdin is not None
    assert guest.stdout is not None
    guest.stdin.write("write -P 1 0 1M\n")
    guest.stdin.flush()
    guest.stdout.readline()
    backend.unexport("v", "a")
    # The target's number goes to another volume, as in OSSA-2023-003.
    backend.export("other", "b", OTHER)
    try:
        said, _ = guest.communicate("read -P 0 0 1M\nquit\n", timeout=3)
    except subprocess.TimeoutExpired:  # the initiator tries again for ever: it reads nothing
        guest.kill()
        said, _ = guest.communicate()
    assert "read 1048576/1048576" not in said


def test_who_is_let_in_alone_shuts_the_other_host_out(backend: FileBackend) -> None:
    """As when a guest has moved, or is made anew because its host was thought dead."""
    backend.create("v", 1)
    guest = Initiator(backend.export("v", "a", HOST)).begin()
    assert guest.stdin is not None
    assert guest.stdout is not None
    guest.stdin.write("write -P 1 0 1M\n")
    guest.stdin.flush()
    guest.stdout.readline()
    connection = backend.export("v", "a", OTHER)
    try:
        said, _ = guest.communicate("write -P 2 0 1M\nquit\n", timeout=3)
    except subprocess.TimeoutExpired:  # the initiator tries again for ever
        guest.kill()
        said, _ = guest.communicate()
    assert "wrote 1048576/1048576" not in said
    assert is_read(Initiator(connection, OTHER).run(reading(1)))
    assert Initiator(connection, HOST).is_refused()


def test_a_volume_grows_when_nobody_has_it(backend: FileBackend) -> None:
    backend.create("v", 1)
    Initiator(backend.export("v", "a", HOST)).run("write -P 7 0 1M")
    backend.unexport("v", "a")
    backend.extend("v", 11)
    again = backend.export("v", "b", HOST)
    assert is_read(Initiator(again).run(reading(7, "0")))
    assert "wrote 1048576/1048576" in Initiator(again).run("write -P 9 10G 1M")
    assert is_read(Initiator(again).run(reading(9, "10G")))


def test_it_says_that_it_extends_nothing_in_use(backend: FileBackend) -> None:
    (pool,) = backend.describe().pools
    assert pool.capabilities["online_extend_support"] is False


def test_two_clouds_of_a_host_do_not_meet(tmp_path: Path, backend: FileBackend) -> None:
    other = FileBackend(tmp_path / "other", FileOptions())
    try:
        for each, pattern in ((backend, 1), (other, 2)):
            each.create("v", 1)
            Initiator(each.export("v", "a", HOST)).run(f"write -P {pattern} 0 1M")
        assert is_read(Initiator(backend.export("v", "a", HOST)).run(reading(1)))
        other.unexport("v", "a")
        assert not Initiator(backend.export("v", "a", HOST)).is_refused()
    finally:
        other.take_down()


def test_tgtd_goes_on_without_us_and_comes_back_after_a_crash(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    first = FileBackend(folder, FileOptions())
    first.create("v", 1)
    connection = first.export("v", "a", HOST)
    Initiator(connection).run("write -P 3 0 1M")
    daemon = json.loads((folder / "tgtd.json").read_text())
    second = FileBackend(folder, FileOptions())
    try:
        assert second.export("v", "a", HOST) == connection
        assert json.loads((folder / "tgtd.json").read_text()) == daemon
        known = shell.Daemon(**daemon)
        shell.stop(known, patience_s=0)
        assert Initiator(connection).is_refused()
        second.describe()  # as it reports, again and again
        assert not shell.is_alive(known)
        assert is_read(Initiator(connection).run(reading(3)))
    finally:
        second.take_down()
    assert Initiator(connection).is_refused()
    assert second.inventory() == [Have("export", "a"), Have("volume", "v", 1)]


def test_a_tgtd_that_nobody_noted_gives_way(tmp_path: Path) -> None:
    """As one whose agent is killed at the very moment of its start: it would keep the address."""
    folder = tmp_path / "volume"
    first = FileBackend(folder, FileOptions())
    first.create("v", 1)
    connection = first.export("v", "a", HOST)
    Initiator(connection).run("write -P 3 0 1M")
    for end in ("describe", "take_down"):
        lost = json.loads((folder / "tgtd.json").read_text())["pid"]
        (folder / "tgtd.json").unlink()
        backend = FileBackend(folder, FileOptions())
        getattr(backend, end)()
        assert not Path(f"/proc/{lost}").exists()
        assert is_read(Initiator(connection).run(reading(3))) == (end == "describe")


def test_copies_are_copies(backend: FileBackend) -> None:
    backend.create("v", 1)
    guest = Initiator(backend.export("v", "a", HOST))
    guest.run("write -P 1 0 1M")
    backend.snapshot("s", "v")
    backend.snapshot("s", "v")
    guest.run("write -P 2 0 1M")
    backend.clone("c", 2, "v")
    backend.create_from_snapshot("n", 3, "s")
    for volume, pattern, size in (("c", 2, 2), ("n", 1, 3), ("v", 2, 1)):
        copy = Initiator(backend.export(volume, f"export-{volume}", HOST))
        assert is_read(copy.run(reading(pattern)))
        assert f"{size} GiB" in copy.run("length")
    backend.unexport("v", "a")
    backend.unexport("v", "export-v")
    backend.revert("v", "s")
    assert is_read(Initiator(backend.export("v", "b", HOST)).run(reading(1)))
    backend.delete_snapshot("s")
    backend.delete_snapshot("s")
    with pytest.raises(NotHere):
        backend.create_from_snapshot("m", 1, "s")
    kinds = [each for each in backend.inventory() if each.kind != "export"]
    assert kinds == [Have("volume", "c", 2), Have("volume", "n", 3), Have("volume", "v", 1)]


def image_of(path: Path, kind: str) -> Source:
    content = path.read_bytes()
    return Source(
        url="", size=len(content), sha512=hashlib.sha512(content).hexdigest(), disk_format=kind,
        path=str(path),
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["raw", "qcow2", "vmdk"])
def test_a_volume_is_made_of_an_image(backend: FileBackend, tmp_path: Path, kind: str) -> None:
    raw, made = tmp_path / "plain", tmp_path / f"disk.{kind}"
    raw.write_bytes(b"\x2a" * MB + bytes(MB))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, raw, made], check=True)
    backend.create_from_image("v", 1, image_of(made, kind))
    guest = Initiator(backend.export("v", "a", HOST))
    assert is_read(guest.run(reading(42)))
    assert is_read(guest.run(reading(0, "1M")))
    assert "1 GiB" in guest.run("length")
    assert made.exists()


def test_dangerous_images_are_refused(backend: FileBackend, tmp_path: Path) -> None:
    secret, made, large = tmp_path / "secret", tmp_path / "backed.qcow2", tmp_path / "large.qcow2"
    secret.write_bytes(b"s" * MB)
    create = ["qemu-img", "create", "-q", "-f", "qcow2"]
    subprocess.run([*create, "-b", secret, "-F", "raw", made], check=True)
    subprocess.run([*create, large, "5G"], check=True)
    data = tmp_path / "data.qcow2"
    subprocess.run([*create, "-o", f"data_file={tmp_path}/d.raw,data_file_raw=on", data, "1M"],
                   check=True)  # fmt: skip
    for image in (made, large, data):
        with pytest.raises(NotFitting):
            backend.create_from_image("v", 1, image_of(image, "qcow2"))
    # What says that it is raw is raw, whatever it begins with.
    backend.create_from_image("v", 1, image_of(made, "raw"))
    guest: Any = Initiator(backend.export("v", "a", HOST))
    assert "51 46 49 fb" in guest.run("read -v 0 512")
    backend.delete("v")
    assert backend.inventory() == []
    assert list(tmp_path.glob("volume/volumes/*")) == []


def test_names_stay_in_their_folder(backend: FileBackend) -> None:
    for name in ("../x", ".x", "a/b"):
        with pytest.raises(NotHere):
            backend.create(name, 1)


def test_a_snapshot_of_a_volume_in_use_is_of_one_moment(
    backend: FileBackend, tmp_path: Path
) -> None:
    backend.create("v", 1)
    guest = Initiator(backend.export("v", "a", HOST))
    guest.run("write -P 1 4M 200M")  # copying this takes a while
    writer = guest.begin()
    assert writer.stdin is not None
    assert writer.stdout is not None
    for number in range(1, 251):
        writer.stdin.write(f"write -P {number} 0 512k\nwrite -P {number} 600M 512k\n")
    writer.stdin.write("quit\n")
    writer.stdin.flush()
    for _ in range(40):  # it writes by now, and has much to write
        writer.stdout.readline()
    rest = threading.Thread(target=writer.communicate)
    rest.start()
    backend.snapshot("s", "v")
    rest.join(60)
    with (tmp_path / "volume" / "snapshots" / "s.raw").open("rb") as file:
        first = file.read(1)[0]
        file.seek(600 * MB)
        last = file.read(1)[0]
    assert 0 < first < 250
    assert first - last in (0, 1)
    assert "verification failed" not in guest.run(reading(250, "600M", "512k"))


def test_nobody_gets_a_volume_while_it_is_copied(
    backend: FileBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    copying, may_end = threading.Event(), threading.Event()
    copy = files._copy

    def slowly(source: Path, target: Path) -> None:
        copying.set()
        may_end.wait(60)
        copy(source, target)

    monkeypatch.setattr(files, "_copy", slowly)
    backend.create("v", 1)
    with ThreadPoolExecutor(2) as threads:
        snapshot = threads.submit(backend.snapshot, "s", "v")
        assert copying.wait(60)
        export = threads.submit(backend.export, "v", "a", HOST)
        with pytest.raises(TimeoutError):
            export.result(1)
        may_end.set()
        assert not Initiator(export.result(60)).is_refused()
        snapshot.result(60)
