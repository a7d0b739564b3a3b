"""What guests wrote to their serial consoles: kept, but not without end."""

from pathlib import Path

from onestack.compute.drivers.libvirt.layout import Layout
from onestack.core import log

LOG_MAX, LOG_KEPT = 1 << 20, 256 << 10
SHOWN_MAX = 128 << 10


def end_of_log(path: Path) -> str:
    """The last of what was written."""
    try:
        return _tail(path, SHOWN_MAX).decode(errors="replace")
    except FileNotFoundError:
        return ""


def bound_logs(layout: Layout) -> None:
    """Cut the logs that have grown too long. QEMU appends, so it goes on at the new end."""
    for path in layout.guests.glob("*/serial.log"):
        try:
            if path.stat().st_size > LOG_MAX:
                kept = _tail(path, LOG_KEPT)
                with path.open("r+b") as file:
                    file.truncate(0)
                with path.open("ab") as file:
                    file.write(kept)
        except OSError as error:
            log.warning("a console's log could not be cut", path=str(path), reason=str(error))


def _tail(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - most))
        return file.read(most)
