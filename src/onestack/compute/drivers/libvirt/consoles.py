"""Guests' consoles: what they wrote, kept but not without end, and the way to their screens."""

import asyncio
from pathlib import Path
from typing import Literal

from onestack.compute.drivers.libvirt.carrier import Carrier
from onestack.compute.drivers.libvirt.channel import Streams, joined
from onestack.compute.drivers.libvirt.layout import Layout
from onestack.compute.hypervisor import ConsoleAddress
from onestack.core import log

LOG_MAX, LOG_KEPT = 1 << 20, 256 << 10
SHOWN_MAX = 128 << 10
WAIT_S = 30.0  # who asks comes at once: the proxy asks when somebody has shown a token
LOOPBACK = ("127.0.0.1", "::1", "localhost")


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


def address(
    carrier: Carrier, path: Path, kind: Literal["vnc", "serial"], host: str
) -> ConsoleAddress:
    """Where the control plane reaches a console: by its socket, when it is on the same machine;
    else by a port that takes one visitor."""
    if host in LOOPBACK:
        return ConsoleAddress(kind, path=str(path))
    server = carrier.run(_opened(host, path))
    carrier.later(WAIT_S, server.close)
    return ConsoleAddress(kind, host, server.sockets[0].getsockname()[1])


async def _opened(host: str, path: Path) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.close()
        try:
            streams: Streams = await asyncio.open_unix_connection(str(path))
        except OSError:  # the guest was switched off
            writer.close()
            return
        await joined((reader, writer), streams)

    server = await asyncio.start_server(answer, host, 0)
    return server


def _tail(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - most))
        return file.read(most)
