"""A small service with microversions, and an application that serves nothing else."""

import asyncio
import itertools
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, ClassVar, Literal

from sqlalchemy import BigInteger, Integer, MetaData, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from onestack.core import clock, trace
from onestack.core.api import (
    PUBLIC,
    Microversions,
    Operations,
    Page,
    Raw,
    Reply,
    Service,
)
from onestack.core.context import AccessRule, AuthenticatorSlot, Caller, Cloud, Context
from onestack.core.context import credentials_of as credentials
from onestack.core.db import Database
from onestack.core.errors import NotFound, Unauthorized
from onestack.core.http import Application, Limits
from onestack.core.observe import SERVICE as OBSERVE
from onestack.core.observe import PlainStyle, Services
from onestack.core.policy import Policy, Rule
from onestack.core.shapes import (
    UNSET,
    Extras,
    Meta,
    Name,
    Named,
    Shape,
    UnsetType,
    Version,
    since,
    until,
)
from onestack.core.websocket import WebSocket
from tests.cloud import Answer

api = Operations("toys")

SECRET = "the-handler's-own-secret"


class Toys(DeclarativeBase):
    """Tables of these tests alone."""

    metadata = MetaData()
    topic: ClassVar[str | None] = None


class ToyRecord(Toys):
    __tablename__ = "toys"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    project_id: Mapped[str]
    small: Mapped[int] = mapped_column(Integer, default=0)
    large: Mapped[int] = mapped_column(BigInteger, default=0)


class ToyCreate(Shape, forbid_unknown_fields=True):
    """A toy to make; its body has changed over the versions."""

    name: Name
    size: Annotated[int | UnsetType, since("2.10")] = UNSET
    colour: Annotated[str | UnsetType, until("2.19")] = UNSET
    maker_text: Annotated[str | UnsetType, until("2.29"), Named("maker")] = UNSET
    maker_list: Annotated[list[str] | UnsetType, since("2.30"), Named("maker")] = UNSET


class PartView(Shape):
    """A part of a toy."""

    name: str
    weight: Annotated[int, since("2.15")] = 7


class ToyView(Shape):
    """A toy."""

    id: str
    name: str
    size: Annotated[int | None, since("2.10")] = None
    colour: Annotated[str | None, until("2.19")] = None
    parts: Annotated[list[PartView], since("2.12")] = []
    maker_text: Annotated[str | None, until("2.29"), Named("maker")] = None
    maker_list: Annotated[list[str], since("2.30"), Named("maker")] = []


class ToyQuery(Shape, forbid_unknown_fields=True):
    """Which toys to list."""

    name: str | None = None
    deleted: bool | None = None
    tag: list[str] | None = None
    limit: Annotated[int, Meta(ge=0, le=1000)] | None = None
    order: Annotated[Literal["up", "down"] | None, since("2.20")] = None


class LooseBody(Shape):
    """A body that keeps what it does not know."""

    name: str = ""
    extra: Annotated[dict[str, Any], Extras] = {}


class NumbersBody(Shape):
    """Numbers without bounds, which no column can hold."""

    small: int = 0
    large: int = 0


class Seen(Shape):
    """What a handler was given."""

    value: Any


class Gate:
    """Holds threaded handlers until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.entered = threading.Semaphore(0)
        self.both = threading.Barrier(2, timeout=2)
        self.numbers = itertools.count()


ANYONE = Rule("toys:any", "@")
OWNERS = Rule("toys:own", "role:admin or project_id:%(target.toy.project_id)s")
ADMIN = Rule("toys:admin", "role:admin")
SYSTEM = Rule("toys:system", "@", scopes=frozenset({"system"}))


@api.get("/toys", ANYONE, key="toys")
def index(ctx: Context, query: ToyQuery) -> Page[ToyView]:
    """List toys."""
    found = ctx.session.scalars(select(ToyRecord).order_by(ToyRecord.name))
    return Page([_view(each) for each in found if query.name in (None, each.name)])


@api.post("/toys", ANYONE, key="toy", status=201)
def create(ctx: Context, body: ToyCreate) -> ToyView:
    """Make a toy."""
    record = ToyRecord(
        id=clock.new_id(), name=body.name, project_id=ctx.caller.project_id or "none"
    )
    ctx.session.add(record)
    ctx.session.flush()
    trace.about(record.id)
    view = _view(record)
    view.size = None if body.size is UNSET else body.size
    view.colour = None if body.colour is UNSET else body.colour
    view.maker_text = None if body.maker_text is UNSET else body.maker_text
    view.maker_list = [] if body.maker_list is UNSET else body.maker_list
    return view


@api.get("/toys/{toy_id}", OWNERS, key="toy")
def show(ctx: Context, toy_id: str) -> ToyView:
    """Show a toy."""
    record = ctx.session.get(ToyRecord, toy_id)
    if record is None:
        raise NotFound(f"Could not find toy: {toy_id}.")
    ctx.allow(toy=record)
    return _view(record)


@api.delete("/toys/{toy_id}", OWNERS)
def delete(ctx: Context, toy_id: str) -> None:
    """Delete a toy."""
    record = ctx.session.get(ToyRecord, toy_id)
    if record is None:
        raise NotFound
    ctx.allow(toy=record)
    ctx.session.delete(record)


@api.get("/toys/{toy_id}/forgetful", OWNERS)
def forgetful(ctx: Context, toy_id: str) -> Seen:
    """Answer without asking whether one may."""
    return Seen(value=SECRET)


@api.post("/forgetful", OWNERS)
def forgetful_write(ctx: Context) -> None:
    """Write without asking whether one may."""
    ctx.session.add(ToyRecord(id="forgetful", name="forgetful", project_id="p"))


@api.post("/toys/{toy_id}/action", OWNERS, action="paint", status=202)
def paint(ctx: Context, toy_id: str, body: LooseBody) -> Seen:
    """Paint a toy, in a colour that the body names."""
    ctx.allow(toy=ctx.session.get_one(ToyRecord, toy_id))
    return Seen(value=body.name)


@api.post("/toys/{toy_id}/action", ADMIN, action="break", since="2.10", status=202)
def break_(ctx: Context, toy_id: str) -> None:
    """Break a toy."""
    ctx.allow(toy=ctx.session.get_one(ToyRecord, toy_id))


@api.get("/toys/{toy_id}/parts/{part}", PUBLIC)
def part(_ctx: Context, toy_id: str, part: str) -> Seen:
    """Say which path parameters arrived."""
    return Seen(value=[toy_id, part])


@api.get("/toys/detail", PUBLIC)
def detail(_ctx: Context) -> Seen:
    """A literal path beside a parameter's."""
    return Seen(value="detail")


@api.get("/new", PUBLIC, since="2.40")
def new(_ctx: Context) -> Seen:
    """Come late."""
    return Seen(value="new")


@api.get("/old", PUBLIC, until="2.20")
def old(_ctx: Context) -> Seen:
    """Go early."""
    return Seen(value="old")


@api.get("/query", PUBLIC)
def query_seen(_ctx: Context, query: ToyQuery) -> Seen:
    """Show the query as it arrived."""
    return Seen(
        value=[query.name, query.deleted, query.tag, query.limit, query.order],
    )


@api.post("/loose", PUBLIC)
def loose(_ctx: Context, body: LooseBody) -> LooseBody:
    """Give back what came."""
    return body


@api.post("/numbers", ANYONE)
def numbers(ctx: Context, body: NumbersBody) -> None:
    """Store numbers as they are."""
    ctx.session.add(
        ToyRecord(id="numbers", name="numbers", project_id="p", small=body.small, large=body.large)
    )


@api.post("/drawn", ANYONE)
def drawn(ctx: Context) -> Seen:
    """Make a toy with a drawn name; every name is drawn twice."""
    name = f"drawn {next(ctx.cloud.get(Gate).numbers) // 2}"
    ctx.session.add(ToyRecord(id=clock.new_id(), name=name, project_id="p"))
    return Seen(value=name)


@api.post("/half", ANYONE)
def half(ctx: Context) -> None:
    """Write, then fail."""
    ctx.session.add(ToyRecord(id="half", name="half", project_id="p"))
    ctx.session.flush()
    raise NotFound("half done")


@api.post("/broken", ANYONE, threaded=True)
def broken(ctx: Context) -> None:
    """Write, then break."""
    ctx.session.add(ToyRecord(id="broken", name="broken", project_id="p"))
    ctx.session.flush()
    raise RuntimeError(SECRET)


@api.post("/slow", PUBLIC, threaded=True)
def slow(ctx: Context) -> Seen:
    """Wait at the gate."""
    gate = ctx.cloud.get(Gate)
    gate.entered.release()
    gate.opened.wait(60)
    return Seen(value=[threading.current_thread().name, trace.current_id() == ctx.request_id])


@api.post("/toys/{toy_id}/swap/{other_id}", ANYONE, threaded=True)
def swap(ctx: Context, toy_id: str, other_id: str) -> None:
    """Take two toys one after the other, when another request has taken its first too."""
    toy = ctx.session.get_one(ToyRecord, toy_id, with_for_update=True)
    with suppress(threading.BrokenBarrierError):
        ctx.cloud.get(Gate).both.wait()
    other = ctx.session.get_one(ToyRecord, other_id, with_for_update=True)
    toy.small, other.small = toy.small + 1, other.small + 1


@api.get("/here", PUBLIC)
def here(_ctx: Context) -> Seen:
    """Say on which thread this runs."""
    return Seen(value=threading.current_thread().name)


@api.get("/raw", PUBLIC)
def raw(_ctx: Context) -> Raw:
    """Answer bytes."""
    return Raw(b"bytes", content_type="text/plain", headers={"Cache-Control": "no-store"})


@api.get("/label", PUBLIC)
def label(_ctx: Context, query: ToyQuery) -> Reply:
    """Answer with a header that the query says."""
    return Reply({"made": True}, headers={"X-Label": query.name or ""})


@api.post("/reply", PUBLIC)
def reply(_ctx: Context) -> Reply:
    """Answer a status and headers of one's own."""
    return Reply({"made": True}, status=202, headers={"Location": "/toy/made"})


@api.get("/admin", ADMIN)
def for_admins(_ctx: Context) -> Seen:
    """Answer administrators."""
    return Seen(value="admin")


@api.get("/system", SYSTEM)
def for_system(_ctx: Context) -> Seen:
    """Answer in system scope."""
    return Seen(value="system")


@api.get("/whoami", ANYONE)
def whoami(ctx: Context) -> Seen:
    """Say who asks, as the rules see it."""
    return Seen(value=[ctx.caller.user_id, sorted(ctx.caller.role_names), ctx.caller.project_id])


async def echo(_cloud: Cloud, socket: WebSocket) -> None:
    """Give back what comes, to pages of this site."""
    if not socket.is_from_here:
        await socket.refuse()
        return
    await socket.accept()
    while (content := await socket.receive()) not in (None, b"bye"):
        await socket.send(content or b"")
    await socket.close()


SERVICE = Service(
    name="toy",
    type="toys",
    title="Toys",
    root="/toy",
    version="2.60",
    nouns=(api,),
    style=PlainStyle(),
    sockets={"/echo": echo},
    microversions=Microversions("toys", Version(2, 1), Version(2, 60), "X-OpenStack-Toy-Version"),
)


def caller(name: str, project_id: str | None, *roles: str, **more: Any) -> Caller:
    """Somebody that the toy cloud knows."""
    known = Caller(
        name, name, "default", tuple((each, each) for each in roles), project_id, "default", **more
    )
    known_as = credentials(known)
    return Caller(
        name, name, "default", known.roles, project_id, "default", credentials=known_as, **more
    )


RULES = (
    AccessRule("toys", "GET", "/toys/*"),
    AccessRule("toys", "POST", "/loose"),
    AccessRule("other", "GET", "/here"),
)
CALLERS = {
    "member": caller("member", "p", "member", "reader"),
    "other": caller("other", "q", "member", "reader"),
    "admin": caller("admin", "p", "admin", "member", "reader"),
    "limited": caller("limited", "p", "admin", access_rules=RULES),
}


class Known:
    """Tokens that are names."""

    def authenticate(self, token: str) -> Caller:
        try:
            return CALLERS[token]
        except KeyError:
            raise Unauthorized from None


class Toy:
    """The toy cloud, and how to ask it."""

    def __init__(self, url: str, **limits: int) -> None:
        self.database = Database(url)
        Toys.metadata.create_all(self.database.engine)
        self.gate = Gate()
        services = (OBSERVE, SERVICE)
        rules = [rule for service in services for rule in service.rules]
        self.cloud = Cloud(self.database, Policy(rules), self.gate, Services(services))
        self.cloud.put(AuthenticatorSlot(Known()))
        self.application = Application(self.cloud, services, Limits(**limits))
        self.loop = asyncio.new_event_loop()

    def close(self) -> None:
        self.application.threads.shutdown()
        self.loop.close()
        self.database.close()

    def names(self) -> list[str]:
        """The toys that are there, as another transaction sees them."""
        with self.database.transaction(write=False) as session:
            return list(session.scalars(select(ToyRecord.name).order_by(ToyRecord.name)))

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        **headers: str,
    ) -> Answer:
        """One request below /toy; underscores in headers' names stand for dashes."""
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        if token is not None:
            given["x-auth-token"] = token
        content = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        if body is not None:
            given.setdefault("content-type", "application/json")
        pairs = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
        return self.send(method, f"/toy{path}", [content], pairs)

    def send(
        self,
        method: str,
        path: str,
        parts: Sequence[bytes] = (b"",),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> Answer:
        """One request as it is on the wire, its body in parts."""
        return self.loop.run_until_complete(self.send_async(method, path, parts, headers))

    async def send_async(
        self,
        method: str,
        path: str,
        parts: Sequence[bytes] = (b"",),
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> Answer:
        raw, _, query = path.partition("?")
        length = (b"content-length", b"%d" % len(parts[0]))
        framing = length if len(parts) == 1 else (b"transfer-encoding", b"chunked")
        messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
            for index, part in enumerate(parts)
        ]
        return await self.exchange(method, raw, query, messages, [framing, *headers])

    async def exchange(
        self, method: str, path: str, query: str, messages: list[dict[str, Any]],
        headers: Sequence[tuple[bytes, bytes]],
    ) -> Answer:  # fmt: skip
        """One request as the server's messages; a client that went away says so at the end.

        A body without a stated length comes in chunks, as HTTP has it.
        """
        has_body = any(message.get("body") or message.get("more_body") for message in messages)
        if has_body and all(name != b"content-length" for name, _ in headers):
            headers = [*headers, (b"transfer-encoding", b"chunked")]
        scope: Mapping[str, Any] = {
            "type": "http",
            "method": method,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": [(b"host", b"127.0.0.1:5000"), *headers],
            "client": ("127.0.0.1", 1),
        }
        sent: list[dict[str, Any]] = []
        coming = [*messages, {"type": "http.disconnect"}]

        async def receive() -> dict[str, Any]:
            return coming.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.application(scope, receive, send)
        found = {k.decode(): v.decode("latin-1") for k, v in sent[0]["headers"]}
        return Answer(sent[0]["status"], found, b"".join(m.get("body", b"") for m in sent[1:]))


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()


def _view(record: ToyRecord) -> ToyView:
    return ToyView(id=record.id, name=record.name, parts=[PartView(name="wheel")])
