"""The metadata service as guests see it: heard within namespaces, answered by the control plane.

Who asks is known by the address that the question comes from, which no guest can forge; whatever a
guest says of itself is dropped. One thread serves the sockets of all namespaces.
"""

import asyncio
import contextlib
import hashlib
import hmac
import http.client
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import h11

from onestack.core import log
from onestack.network.drivers.linux.namespaces import Namespace
from onestack.network.drivers.linux.options import MetadataOptions
from onestack.network.switch import Lease

PASSED_ON = {b"accept", b"content-type", b"user-agent"}
RETURNED = {"content-type", "x-password-saved"}
QUESTION_BYTES, ANSWER_BYTES = 1 << 16, 16 << 20
IDLE_S, ANSWER_S, AT_ONCE = 30.0, 20.0, 8
PIECE_BYTES = 1 << 16

Lookup = Callable[[str], Lease | None]


class Answer:
    """A status, and what comes with it."""

    def __init__(self, status: int, body: bytes, headers: list[tuple[str, str]] | None = None):
        self.status, self.body = status, body
        self.headers = headers or [("content-type", "text/plain; charset=UTF-8")]


class MetadataProxy:
    """Listens where it is told to, and asks the control plane on behalf of the guest that asks."""

    def __init__(self, options: MetadataOptions) -> None:
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="metadata")
        self._servers: dict[str, tuple[int, asyncio.Server]] = {}
        self._thread: threading.Thread | None = None

    def listen(
        self, key: str, where: Namespace, open_socket: Callable[[], socket.socket], lookup: Lookup
    ) -> None:
        """Answer on a socket that is opened in a namespace, unless that is done already; `lookup`
        tells who has an address."""
        identity = where.identity
        known = self._servers.get(key)
        if known is not None and known[0] == identity:
            return
        self.silence(key)
        if self._thread is None:
            run = self._loop.run_forever
            self._thread = threading.Thread(target=run, name="metadata", daemon=True)
            self._thread.start()
        listening = where.run(open_socket)

        async def serve() -> asyncio.Server:
            return await asyncio.start_server(
                lambda reader, writer: self._converse(reader, writer, lookup), sock=listening
            )

        server = asyncio.run_coroutine_threadsafe(serve(), self._loop).result()
        self._servers[key] = identity, server

    def silence(self, key: str) -> None:
        known = self._servers.pop(key, None)
        if known is not None:
            self._loop.call_soon_threadsafe(known[1].close)

    def close(self) -> None:
        for key in list(self._servers):
            self.silence(key)
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None
        self._loop.close()
        self._pool.shutdown()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lookup: Lookup
    ) -> None:
        address = str(writer.get_extra_info("peername")[0]).partition("%")[0]
        conversation = h11.Connection(h11.SERVER, max_incomplete_event_size=QUESTION_BYTES)
        try:
            while await self._exchange(conversation, reader, writer, address, lookup):
                conversation.start_next_cycle()
        except h11.RemoteProtocolError as error:
            if conversation.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                answer = Answer(error.error_status_hint, b"This is not HTTP.\n")
                writer.write(_written(conversation, b"GET", answer))
        except (OSError, TimeoutError) as error:
            log.info("a guest's question broke off", guest=address, reason=str(error))
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(
        self, conversation: h11.Connection, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter, address: str, lookup: Lookup,
    ) -> bool:  # fmt: skip
        """One question and its answer; whether another may follow."""
        question: h11.Request | None = None
        body = b""
        while True:
            event = conversation.next_event()
            if event is h11.NEED_DATA:
                async with asyncio.timeout(IDLE_S):
                    conversation.receive_data(await reader.read(PIECE_BYTES))
            elif isinstance(event, h11.Request):
                question = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > QUESTION_BYTES:
                    return False
            elif isinstance(event, h11.EndOfMessage):
                break
            else:  # it hung up
                return False
        assert question is not None
        answer = await self._answer(question, body, address, lookup)
        is_last = conversation.their_state is h11.MUST_CLOSE
        writer.write(_written(conversation, question.method, answer))
        await writer.drain()
        return not is_last and conversation.our_state is h11.DONE

    async def _answer(
        self, question: h11.Request, body: bytes, address: str, lookup: Lookup
    ) -> Answer:
        lease = lookup(address)
        if lease is None or not lease.device_id:
            return Answer(404, b"Nobody here has this address.\n")
        try:
            return await self._loop.run_in_executor(
                self._pool, self._ask, question, body, address, lease
            )
        except (OSError, http.client.HTTPException) as error:
            log.warning("the metadata service does not answer", reason=str(error))
            return Answer(503, b"The metadata service does not answer.\n")

    def _ask(self, question: h11.Request, body: bytes, address: str, lease: Lease) -> Answer:
        parts = urlsplit(self._options.url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(parts.hostname or "", parts.port, timeout=ANSWER_S)
        secret = self._options.secret.encode()
        signature = hmac.new(secret, lease.device_id.encode(), hashlib.sha256).hexdigest()
        passed = {name.decode(): value.decode("latin-1") for name, value in question.headers
                  if name in PASSED_ON}  # fmt: skip
        headers = passed | {
            "X-Forwarded-For": address,
            "X-Instance-ID": lease.device_id,
            "X-Tenant-ID": lease.project_id,
            "X-Instance-ID-Signature": signature,
        }
        path = parts.path.rstrip("/") + _path(question.target.decode("latin-1"))
        with contextlib.closing(connection):
            connection.request(question.method.decode(), path, body or None, headers)
            said = connection.getresponse()
            content = said.read(ANSWER_BYTES)
            kept = [(name, value) for name, value in said.getheaders() if name.lower() in RETURNED]
            return Answer(said.status, content, kept)


def _path(target: str) -> str:
    """The path and query of a question's target, which may be a whole address."""
    parts = urlsplit(target if not target.startswith("//") else f"/{target.lstrip('/')}")
    path = parts.path if parts.path.startswith("/") else f"/{parts.path}"
    return f"{path}?{parts.query}" if parts.query else path


def _written(conversation: h11.Connection, method: bytes, answer: Answer) -> bytes:
    headers = [*answer.headers, ("content-length", str(len(answer.body)))]
    is_head = method == b"HEAD"
    said = conversation.send(h11.Response(status_code=answer.status, headers=headers)) or b""
    if answer.body and not is_head:
        said += conversation.send(h11.Data(data=answer.body)) or b""
    return said + (conversation.send(h11.EndOfMessage()) or b"")
