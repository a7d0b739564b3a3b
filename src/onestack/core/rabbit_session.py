"""What lives as long as one connection to RabbitMQ: exchanges, queues, and who reads them."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import aio_pika
from aio_pika.abc import (
    AbstractChannel,
    AbstractConnection,
    AbstractExchange,
    AbstractIncomingMessage,
    AbstractQueue,
)
from pamqp.common import FieldTable

from onestack.core.peer import Peer

HEARTBEAT_S = 10
QUEUE_IDLE_S = 24 * 3600
DELIVERIES_MAX = 20
HEARD_MAX = 10_000
HEARD_AT_ONCE = 100

NOTIFICATIONS = "onestack.notifications"
DOORBELLS = "onestack.doorbells"

Told = Callable[[AbstractIncomingMessage], Coroutine[Any, Any, None]]


@dataclass(eq=False)
class Served:
    """An address that this process serves, across connections."""

    name: str
    peer: Peer
    threads: ThreadPoolExecutor
    at_once: int
    queue_max: int


@dataclass(eq=False)
class Heard:
    """A subscription of this process, across connections."""

    exchange: str
    name: str
    told: Callable[[str, bytes], None]
    threads: ThreadPoolExecutor

    @property
    def is_doorbell(self) -> bool:
        return self.exchange == DOORBELLS


@dataclass(eq=False)
class Session:
    """A connection, and what was made on it."""

    connection: AbstractConnection
    lost: "asyncio.Future[None]"
    calls: AbstractExchange
    exchanges: dict[str, AbstractExchange]
    settled_at: float
    replies: str = ""
    attached: "dict[Served | Heard, asyncio.Task[None]]" = field(default_factory=dict)
    consumers: list[tuple[AbstractQueue, str]] = field(default_factory=list)

    @classmethod
    async def open(
        cls, connection: AbstractConnection, take_reply: Told, settled_at: float
    ) -> "Session":
        """Declare what every process declares, and read the replies to its calls."""
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        kind = aio_pika.ExchangeType.TOPIC
        exchanges = {
            name: await channel.declare_exchange(name, kind, durable=True)
            for name in (NOTIFICATIONS, DOORBELLS)
        }
        lost = asyncio.get_running_loop().create_future()
        session = cls(connection, lost, channel.default_exchange, exchanges, settled_at)
        connection.close_callbacks.add(session.lose)
        channel.close_callbacks.add(session.lose)
        replies = await channel.declare_queue(exclusive=True)
        await replies.consume(take_reply, no_ack=True)
        session.replies = replies.name
        return session

    def lose(self, *_: object) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    async def serve(self, served: Served, told: Told) -> None:
        """Read the queue of an address: durable, and on several nodes of the broker."""
        channel = await self._channel(served.at_once)
        queue = await channel.declare_queue(
            served.name,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-max-length": served.queue_max,
                "x-overflow": "reject-publish",
                "x-expires": QUEUE_IDLE_S * 1000,
                "x-delivery-limit": DELIVERIES_MAX,
            },
        )
        await self._consume(channel, queue, told)

    async def hear(self, each: Heard, told: Told) -> None:
        """Read what is notified, or rung, from a queue of this connection's own."""
        channel = await self._channel(1 if each.is_doorbell else HEARD_AT_ONCE)
        # One ring waiting is as good as many: the oldest of what is too much goes.
        arguments: FieldTable = {
            "x-max-length": 1 if each.is_doorbell else HEARD_MAX,
            "x-overflow": "drop-head",
        }
        queue = await channel.declare_queue(exclusive=True, arguments=arguments)
        await queue.bind(self.exchanges[each.exchange], each.name)
        await self._consume(channel, queue, told)
        if each.is_doorbell:
            # A doorbell may have rung while nobody could hear it.
            each.threads.submit(each.told, each.name, b"")

    async def _channel(self, at_once: int) -> AbstractChannel:
        """A channel for a consumer of its own."""
        channel = await self.connection.channel()
        await channel.set_qos(prefetch_count=at_once)
        return channel

    async def _consume(self, channel: AbstractChannel, queue: AbstractQueue, told: Told) -> None:
        self.consumers.append((queue, await queue.consume(told)))
        # A session that lost one of its consumers starts again from the beginning.
        channel.close_callbacks.add(self.lose)
        (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(self.lose)


def broker_url(url: str) -> tuple[str, ssl.SSLContext | None]:
    """The broker's URL with our defaults, and how its certificate is verified."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise ValueError("the bus needs a URL such as amqp://user:password@host:5672/vhost")
    if query.pop("no_verify_ssl", "0") != "0":
        raise ValueError("no_verify_ssl: a broker that is not verified is no broker of ours")
    tls = None
    if parts.scheme == "amqps":
        tls = ssl.create_default_context(cafile=query.pop("cafile", None))
        if "certfile" in query:
            tls.load_cert_chain(query.pop("certfile"), query.pop("keyfile", None))
    query.setdefault("heartbeat", str(HEARTBEAT_S))
    return urlunsplit(parts._replace(query=urlencode(query))), tls
