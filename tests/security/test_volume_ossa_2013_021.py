"""OSSA-2013-021, OSSN-0084: nobody reads what was somebody else's, on the real backend."""

from pathlib import Path

from onestack.volume.drivers.files import FileBackend, FileOptions
from tests.volume.iscsi.initiator import HOST, Initiator, is_read, reading


def test_a_new_volume_is_zeros(tmp_path: Path) -> None:
    backend = FileBackend(tmp_path, FileOptions())
    try:
        for number in range(3):
            backend.create("v", 1)
            guest = Initiator(backend.export("v", f"a{number}", HOST))
            for start in ("0", "5M", "1000M"):
                assert is_read(guest.run(reading(0, start)))
                assert "wrote 1048576/1048576" in guest.run(f"write -P 171 {start} 1M")
            backend.delete("v")
            assert guest.is_refused()
        backend.create("v", 1)
        backend.extend("v", 2)
        grown = Initiator(backend.export("v", "b", HOST))
        assert is_read(grown.run(reading(0, "1500M")))
    finally:
        backend.take_down()
