"""Console tokens: the right to open one guest's console, once and soon."""

import datetime as dt
import hashlib
import secrets
from typing import Annotated

from sqlalchemy import ForeignKey, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack.compute import rules
from onestack.compute.consoles.address import address_of
from onestack.compute.hypervisor import ConsoleAddress
from onestack.compute.servers.record import ServerRecord
from onestack.core import clock
from onestack.core.api import Operations
from onestack.core.bus import Bus
from onestack.core.context import Cloud, Context
from onestack.core.db import Database, Record
from onestack.core.errors import NotFound
from onestack.core.flow import periodic
from onestack.core.shapes import Shape, since

TOKEN_BYTES = 32
LIFE_S = 600.0


class ConsoleTokenRecord(Record):
    """A token that was given out and not yet used; of the token itself only a digest is kept."""

    __tablename__ = "console_tokens"

    digest: Mapped[str] = mapped_column(primary_key=True)
    server_id: Mapped[str] = mapped_column(ForeignKey("servers.id", ondelete="CASCADE"), index=True)
    host: Mapped[str]  # where the server was: a token does not follow it to another host
    kind: Mapped[str]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


class TokenNotFound(NotFound, LookupError):
    message = "Token not found"


class ConnectionView(Shape):
    """Where the proxy finds the console that a token is for."""

    instance_uuid: str
    host: str
    port: int
    internal_access_path: str | None
    tls_port: Annotated[int | None, since("2.99")] = None


api = Operations("console tokens")


@api.get(
    "/v2.1/os-console-auth-tokens/{token}",
    rules.rule("os-console-auth-tokens"),
    key="console",
    since="2.31",
    threaded=True,
)
def show(ctx: Context, token: str) -> ConnectionView:
    """Show where a token leads."""
    ctx.allow()
    record = _valid(ctx.session, token)
    server_id, host, kind = record.server_id, record.host, record.kind
    ctx.release()
    found = address_of(ctx.cloud.get(Bus), host, server_id, kind)
    return ConnectionView(
        instance_uuid=server_id, host=found.host or host, port=found.port,
        internal_access_path=found.path or None,
    )  # fmt: skip


def issue(session: Session, server: ServerRecord, kind: str) -> str:
    """A new token for a console of a server."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(
        ConsoleTokenRecord(
            digest=_digest(token), server_id=server.id, host=str(server.host), kind=kind,
            expires_at=clock.now() + dt.timedelta(seconds=LIFE_S),
        )
    )  # fmt: skip
    return token


def redeem(cloud: Cloud, token: str) -> ConsoleAddress:
    """Where the console is that a token is for; the token is worth nothing from here on."""
    with cloud.get(Database).transaction() as session:
        record = _valid(session, token)
        server_id, host, kind = record.server_id, record.host, record.kind
        session.delete(record)
    # Asked anew: another guest may have the port that this one had when the token was made.
    return address_of(cloud.get(Bus), host, server_id, kind)


@periodic(600)
def forget_console_tokens(session: Session) -> None:
    """Tokens that nobody used go when their time is over."""
    session.execute(delete(ConsoleTokenRecord).where(ConsoleTokenRecord.expires_at < clock.now()))


def _valid(session: Session, token: str) -> ConsoleTokenRecord:
    record = session.get(ConsoleTokenRecord, _digest(token), with_for_update=True)
    if record is None or record.expires_at <= clock.now():
        raise TokenNotFound
    server = session.get(ServerRecord, record.server_id)
    if server is None or server.host != record.host:
        raise TokenNotFound
    return record


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
