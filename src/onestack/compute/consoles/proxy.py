"""The console proxy: carries bytes between a browser's WebSocket and a guest's console."""

import asyncio
from contextlib import suppress

from onestack.compute.consoles.tokens import redeem
from onestack.compute.hypervisor import ConsoleAddress
from onestack.core import log
from onestack.core.bus import BusError
from onestack.core.context import Cloud
from onestack.core.errors import BadRequest
from onestack.core.websocket import WebSocket

PATH = "/console/websocket"
PIECE_BYTES = 64 << 10
CONNECT_S = 10.0


async def serve(cloud: Cloud, socket: WebSocket) -> None:
    """Connect a browser that brings a token with the console which the token is for, once."""
    try:
        token = socket.request.query().get("token", [""])[-1]
    except BadRequest:
        token = ""
    if not socket.is_from_here or not token:
        await socket.refuse()
        return
    try:
        address = await asyncio.to_thread(redeem, cloud, token)
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await _connected(address)
    except (LookupError, BusError, OSError, TimeoutError) as error:
        log.info("a console was refused", reason=type(error).__name__)
        await socket.refuse()
        return
    try:
        await socket.accept()
        await _carry(socket, reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _connected(address: ConsoleAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if address.path:
        return await asyncio.open_unix_connection(address.path)
    return await asyncio.open_connection(address.host, address.port)


async def _carry(
    socket: WebSocket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Both directions, until either side ends."""

    async def inward() -> None:
        while (content := await socket.receive()) is not None:
            writer.write(content)
            await writer.drain()

    async def outward() -> None:
        while content := await reader.read(PIECE_BYTES):
            await socket.send(content)
        await socket.close()

    ways = {asyncio.ensure_future(inward()), asyncio.ensure_future(outward())}
    _, others = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    for each in others:
        each.cancel()
    for error in await asyncio.gather(*ways, return_exceptions=True):
        if isinstance(error, Exception) and not isinstance(error, OSError):
            log.exception("a console broke off", error)
