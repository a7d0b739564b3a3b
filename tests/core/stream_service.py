"""A service that takes and gives large bodies, behind the real HTTP server."""

import asyncio
import hashlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from onestack.core.api import PUBLIC, Operations, Reply, Service
from onestack.core.conditions import byte_range
from onestack.core.context import AuthenticatorSlot, Cloud, Context
from onestack.core.db import Database
from onestack.core.errors import ApiError, Conflict, Unauthorized
from onestack.core.http import Application, Limits
from onestack.core.observe import PlainStyle, Services
from onestack.core.policy import Policy, Rule
from onestack.core.server import server
from onestack.core.shapes import Shape
from onestack.core.streams import Download

api = Operations("streams")

ETAG = '"v1"'
SMALL_BYTES_MAX = 100_000
NOBODY = Rule("streams:nobody", "!")


@dataclass
class Store:
    """What the handlers saw and did."""

    path: Path
    errors: list[str] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    produced: int = 0
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    opened: threading.Event = field(default_factory=threading.Event)


class Received(Shape):
    """What arrived."""

    size: int
    digest: str


def _swallow(ctx: Context) -> Received:
    digest, size = hashlib.blake2b(), 0
    try:
        for piece in ctx.request.stream:
            digest.update(piece)
            size += len(piece)
    except ApiError as error:
        ctx.cloud.get(Store).errors.append(type(error).__name__)
        raise
    return Received(size=size, digest=digest.hexdigest())


@api.put("/blobs", PUBLIC, streams=True)
def put(ctx: Context) -> Received:
    """Take a body of any size."""
    return _swallow(ctx)


@api.put("/null", PUBLIC, streams=True)
def drop(ctx: Context) -> Received:
    """Take a body and count it."""
    return Received(size=sum(len(piece) for piece in ctx.request.stream), digest="")


@api.put("/small", PUBLIC, streams=True)
def put_small(ctx: Context) -> Received:
    """Take a body of a limited size."""
    ctx.request.stream.limit(SMALL_BYTES_MAX)
    return _swallow(ctx)


@api.put("/slow", PUBLIC, streams=True, content_types=("*/*",))
def put_slowly(ctx: Context) -> Received:
    """Wait before each of the first two pieces, as a slow disk would."""
    store = ctx.cloud.get(Store)
    store.entered.release()
    store.opened.wait(60)
    return _swallow(ctx)


@api.post("/read", PUBLIC, streams=True)
def read(ctx: Context) -> list[int]:
    """Read by sizes: exact ones until the end."""
    stream = ctx.request.stream
    sizes = [len(stream.read(0)), len(stream.read(10)), len(stream.read(100_000))]
    return [*sizes, len(stream.read()), len(stream.read(5)), len(stream.read())]


@api.put("/refused", PUBLIC, streams=True)
def refuse(_ctx: Context) -> None:
    """Refuse without a look at the body."""
    raise Conflict("The blob is taken.")


@api.put("/forbidden", NOBODY, streams=True)
def forbid(_ctx: Context) -> None:
    """Never run."""


@api.put("/holding", PUBLIC, streams=True)
def hold(ctx: Context) -> Received:
    """Read while the database is held, which must not be."""
    ctx.session.connection()
    return _swallow(ctx)


@api.get("/file", PUBLIC, streams=True)
def get_file(ctx: Context) -> Download:
    """Give a file, or a part of it."""
    path = ctx.cloud.get(Store).path
    size = path.stat().st_size
    part = byte_range(ctx.request.headers, size, ETAG)
    return Download(path.open("rb"), size, part=part, etag=ETAG, headers={"Accept-Ranges": "bytes"})


@api.get("/endless", PUBLIC, streams=True)
def get_endless(ctx: Context) -> Download:
    """Give bytes for as long as somebody takes them."""
    store = ctx.cloud.get(Store)

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                store.produced += 1
                yield bytes(1 << 16)
        finally:
            store.closed.set()

    return Download(pieces())


@api.get("/words", PUBLIC, streams=True)
def get_words(_ctx: Context) -> Download:
    """Give small pieces without saying how many."""
    return Download(iter([b"one ", b"two ", b"three"]), content_type="text/plain")


@api.get("/ticks", PUBLIC, streams=True)
def get_ticks(ctx: Context) -> Download:
    """Give a first piece at once, and another when the gate opens."""
    store = ctx.cloud.get(Store)

    def pieces() -> Iterator[bytes]:
        yield b"tick"
        time.sleep(0.1)  # longer than small pieces are gathered
        yield b"tock"
        store.opened.wait(60)
        yield b"end"

    return Download(pieces(), 11)


@api.get("/failing/{after}", PUBLIC, streams=True)
def get_failing(ctx: Context, after: str) -> Download:
    """Fail after some pieces."""
    store = ctx.cloud.get(Store)

    def pieces() -> Iterator[bytes]:
        try:
            for _ in range(int(after)):
                yield bytes(1 << 18)
            raise OSError("the disk is gone")
        finally:
            store.closed.set()

    return Download(pieces(), 1 << 20)


@api.get("/short", PUBLIC, streams=True)
def get_short(_ctx: Context) -> Download:
    """Announce more than there is."""
    return Download(iter([b"abc"]), 1 << 20)


@api.get("/tagged", PUBLIC)
def get_tagged(_ctx: Context) -> Reply:
    """Give a version of something small."""
    return Reply({"name": "x"}, etag=ETAG, headers={"X-Extra": "1"})


@api.put("/tagged", PUBLIC)
def put_tagged(ctx: Context) -> None:
    """Change it, if it is what the client believes."""
    ctx.check_match(ETAG)


@api.put("/missing", PUBLIC)
def put_missing(ctx: Context) -> None:
    """Make it, if that is what the client wants."""
    ctx.check_match(None)


@api.patch(
    "/patched", PUBLIC, content_types=("application/x-patch", "application/x-patch-2")
)  # fmt: skip
def patch(_ctx: Context, body: list[str]) -> list[str]:
    """Take a body of types of its own."""
    return body


SERVICE = Service(
    name="streams",
    type="streams",
    title="Streams",
    root="/s",
    version="1",
    nouns=(api,),
    style=PlainStyle(),
)


class Nobody:
    """Knows no token."""

    def authenticate(self, _token: str) -> None:
        raise Unauthorized


class Served:
    """The service behind the HTTP server, which runs on a thread of its own."""

    def __init__(self, folder: Path, **limits: int) -> None:
        self.store = Store(folder / "blob")
        self.database = Database(f"sqlite:///{folder}/database.sqlite")
        self.cloud = Cloud(
            self.database, Policy(SERVICE.rules), self.store, Services((SERVICE,))
        )  # fmt: skip
        self.cloud.put(AuthenticatorSlot(Nobody()))  # type: ignore[arg-type]
        self.application = Application(self.cloud, (SERVICE,), Limits(**limits))
        self.server = server(self.application, "127.0.0.1", 0)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        wait_for(lambda: self.server.started)
        self.port: int = self.server.servers[0].sockets[0].getsockname()[1]

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=self.server.config.get_loop_factory()) as runner:
            runner.run(self.server.serve())

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        assert not self.thread.is_alive()
        for threads in (
            self.application.threads, self.application.streams, self.application.producers
        ):  # fmt: skip
            threads.shutdown()
        self.database.close()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        connection = self.connect()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/s{path}", body=body, headers=named)  # type: ignore[arg-type]
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        content = response.read()
        connection.close()
        return response.status, found, content


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    """Until something holds, which it must soon."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)
