"""The way between two agents that a guest takes: one port for each offer, encrypted, and open only
to who holds the offer's one-time secret."""

import asyncio
import datetime as dt
import hashlib
import hmac
import secrets
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from onestack.core import log
from onestack.core.certificate import pem, self_signed

HELLO_S = 10.0
PIECE_BYTES = 256 << 10
DAY = dt.timedelta(days=1)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Handler = Callable[[str, Streams], Awaitable[None]]


class Refused(Exception):
    """The other side is not who it should be, or does not want us."""


class Address(msgspec.Struct, frozen=True):
    """Where an offer answers, the secret that opens it, and how its certificate is known."""

    host: str
    port: int
    token: str
    fingerprint: str

    @classmethod
    def parse(cls, text: str) -> "Address":
        place, token, fingerprint = text.split("/")
        host, _, port = place.rpartition(":")
        return cls(host, int(port), token, fingerprint)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.token}/{self.fingerprint}"


class Door(msgspec.Struct, frozen=True):
    """An offer that waits for whom it was made for."""

    server: asyncio.Server
    address: Address

    def close(self) -> None:
        self.server.close()


async def opened(host: str, greeting: str, handler: Handler) -> Door:
    """Answer on a free port of an address; what each connection is for is the handler's."""
    context, fingerprint = _identity()
    token = secrets.token_urlsafe(24)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HELLO_S):
                said = await reader.readline()
            given, _, purpose = said.decode("ascii", "replace").strip().partition(" ")
            if hmac.compare_digest(given.encode(), token.encode()):
                writer.write(greeting.encode() + b"\n")
                await handler(purpose, (reader, writer))
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
            pass  # the other side went away, which it notices itself
        except Refused as error:
            log.warning("a guest's files were refused", reason=str(error))
        finally:
            await _closed(writer)

    server = await asyncio.start_server(answer, host, 0, ssl=context, limit=PIECE_BYTES)
    port = server.sockets[0].getsockname()[1]
    return Door(server, Address(host, port, token, fingerprint))


async def entered(address: Address, purpose: str) -> tuple[Streams, str]:
    """Go to an offer for one purpose; the streams, and its greeting."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # its fingerprint is known
    reader, writer = await asyncio.open_connection(
        address.host, address.port, ssl=context, limit=PIECE_BYTES
    )
    certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if not hmac.compare_digest(hashlib.sha256(certificate).hexdigest(), address.fingerprint):
        writer.close()
        raise Refused("the other host is not the one that made the offer")
    writer.write(f"{address.token} {purpose}\n".encode())
    greeting = await reader.readline()
    if not greeting.endswith(b"\n"):
        raise Refused("the other host does not know this offer")
    return (reader, writer), greeting.decode().strip()


async def joined(one: Streams, other: Streams) -> None:
    """Pass everything between two connections until both have ended."""
    await asyncio.gather(_passed(one[0], other[1]), _passed(other[0], one[1]))
    for _, writer in (one, other):
        await _closed(writer)


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    with suppress(OSError, NotImplementedError, RuntimeError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS knows no half of an end


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _identity() -> tuple[ssl.SSLContext, str]:
    """A certificate for this offer alone, and its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = self_signed(key, "onestack-offer", 2 * DAY, backdated=DAY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # Python reads keys from files only
        path = Path(folder, "identity.pem")
        path.touch(0o600)
        path.write_bytes(pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(path)
    return context, certificate.fingerprint(hashes.SHA256()).hex()
