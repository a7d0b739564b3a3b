"""The bus over RabbitMQ: plain blocking methods in front of one thread that talks AMQP.

A peer's queue is durable and replicated; replies, notifications and doorbells have queues that
live as long as their connection. Whatever waits for the broker is sent again after a reconnection,
under the same message id, so that its receiver runs it once.
"""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, DeliveryError, PublishError

from onestack.core import clock, log
from onestack.core.bus import Notified, Rung, heard
from onestack.core.contract import Contract
from onestack.core.message import (
    MESSAGE_ID,
    AgentBusy,
    AgentTimeout,
    AgentUnreachable,
    Answer,
    BusError,
)
from onestack.core.peer import Peer
from onestack.core.rabbit_session import (
    DOORBELLS,
    NOTIFICATIONS,
    Heard,
    Served,
    Session,
    Told,
    broker_url,
)

T = TypeVar("T")

CONNECT_S = 10.0
CONFIRM_S = 10.0
ATTACH_S = 5.0
GRACE_S = 5.0
RETRY_MIN_S = 0.1
RETRY_MAX_S = 5.0
SETTLE_S = 2 * RETRY_MAX_S
QUEUE_MAX = 1000

LIBRARIES = ("aiormq", "aio_pika")
FAILED = "failure"
DONE = "result"
LOST = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)


class Rabbit:
    """A transport through the broker at `url` (amqp:// or amqps://, whose host is verified)."""

    def __init__(self, url: str, threads_per_address: int = 8, queue_max: int = QUEUE_MAX) -> None:
        self.url, self.tls = broker_url(url)
        for name in LIBRARIES:
            # What breaks is said once, below, and without a traceback of the library's insides.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.threads_per_address = threads_per_address
        self.queue_max = queue_max
        self.trouble: str | None = "not connected yet"
        self._served: list[Served] = []
        self._heard: list[Heard] = []
        self._replies: dict[str, asyncio.Future[Answer]] = {}
        self._rings: dict[str, bool] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._deliveries: set[asyncio.Task[Any]] = set()
        self._session: Session | None = None
        self._was_connected = False
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._up = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self._thread.start()

    def call(
        self,
        address: str,
        method: str,
        payload: bytes,
        timeout_s: float,
        headers: Mapping[str, str],
    ) -> bytes:
        return self._do(self._call(address, method, payload, timeout_s, headers)).open()

    def cast(self, address: str, method: str, payload: bytes, headers: Mapping[str, str]) -> None:
        message = _message(payload, headers, type=method)
        self._do(self._confirmed("", address, message))

    def serve(self, address: str, peer: object, contract: Contract) -> None:
        threads = ThreadPoolExecutor(self.threads_per_address, thread_name_prefix=address)
        served = Served(
            address, Peer(peer, contract), threads, self.threads_per_address, self.queue_max
        )
        self._do(self._add(self._served, served))

    def notify(self, topic: str, payload: bytes) -> None:
        message = _message(payload, {MESSAGE_ID: clock.new_id()}, type=topic)
        self._do(self._confirmed(NOTIFICATIONS, topic, message))

    def subscribe(self, topic: str, callback: Notified) -> None:
        def told(notified: str, payload: bytes) -> None:
            heard(callback, notified, payload)

        self._do(self._add(self._heard, Heard(NOTIFICATIONS, topic, told, _one_thread(topic))))

    def ring(self, topic: str) -> None:
        with suppress(RuntimeError):  # the bus may close at this very moment
            self._loop.call_soon_threadsafe(self._ring, topic)

    def answer_ring(self, topic: str, callback: Rung) -> None:
        def told(_topic: str, _payload: bytes) -> None:
            heard(callback)

        self._do(self._add(self._heard, Heard(DOORBELLS, topic, told, _one_thread(topic))))

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for threads in [*(s.threads for s in self._served), *(h.threads for h in self._heard)]:
            threads.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._start(self._stay_connected())
        self._loop.run_forever()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the bus' thread do something, and wait for it on this one."""
        if self._closed or threading.current_thread() is self._thread:
            work.close()
            raise BusError("the bus is closed" if self._closed else "the bus waits for itself")
        done: Future[T] = asyncio.run_coroutine_threadsafe(self._kept(work), self._loop)
        try:
            return done.result()
        except (asyncio.CancelledError, TimeoutError) as error:
            raise BusError("the bus was closed meanwhile") from error

    async def _kept(self, work: Coroutine[Any, Any, T]) -> T:
        task = self._start(work)
        return await task

    def _start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Being connected

    async def _stay_connected(self) -> None:
        delay_s = RETRY_MIN_S
        while True:
            began = self._loop.time()
            try:
                await self._one_session()
                self.trouble = "the connection was lost"
            except LOST as error:
                self.trouble = f"{type(error).__name__}: {error}"
            log.warning("bus not connected", broker=self._broker, reason=self.trouble)
            if self._loop.time() - began > RETRY_MAX_S:
                delay_s = RETRY_MIN_S
            await asyncio.sleep(delay_s * (0.5 + clock.randomness().random()))
            delay_s = min(2 * delay_s, RETRY_MAX_S)

    async def _one_session(self) -> None:
        """Connect, take up what this process serves and hears, and stay until the line breaks."""
        connection = await aio_pika.connect(
            self.url,
            timeout=CONNECT_S,
            ssl_context=self.tls,
            client_properties={"connection_name": f"onestack {socket.gethostname()} {os.getpid()}"},
        )
        try:
            # Peers of a broker that lost its memory need a moment to declare their queues again.
            settled_at = self._loop.time() + SETTLE_S if self._was_connected else 0.0
            session = await Session.open(connection, self._take_reply, settled_at)
            session.lost.add_done_callback(self._drop)
            attaching = [self._attached(session, served) for served in self._served]
            attaching += [self._attached(session, each) for each in self._heard]
            if attaching:
                # Who calls a peer of this very process finds it served.
                await asyncio.wait(attaching, timeout=ATTACH_S)
            self._session, self.trouble = session, None
            self._was_connected = True
            self._up.set()
            log.info("bus connected", broker=self._broker)
            await session.lost
        finally:
            self._drop()
            async with asyncio.timeout(CONNECT_S):
                await connection.close()

    def _drop(self, *_: object) -> None:
        self._session = None
        self._up.clear()

    def _attached(self, session: Session, each: Served | Heard) -> "asyncio.Task[None]":
        """The task that takes something up on a connection; there is one for each."""
        if each not in session.attached:
            session.attached[each] = self._start(self._attach(session, each))
        return session.attached[each]

    async def _attach(self, session: Session, each: Served | Heard) -> None:
        """Try until it is taken up: a queue in trouble must not hold up the others."""
        while not session.lost.done():
            try:
                async with asyncio.timeout(ATTACH_S):
                    if isinstance(each, Served):
                        answer = partial(self._answer, session, each)
                        await session.serve(each, self._tracked(answer))
                    else:
                        await session.hear(each, self._tracked(partial(self._tell, each)))
                return
            except LOST as error:
                reason = f"{type(error).__name__}: {error}"
                log.warning("bus: queue not usable", queue=each.name, reason=reason)
            await asyncio.wait((session.lost,), timeout=RETRY_MAX_S)

    async def _connected(self) -> Session:
        while self._session is None:
            await self._up.wait()
        return self._session

    async def _add(self, many: list[Any], each: Served | Heard) -> None:
        """Take something up now, or when the broker can be reached."""
        many.append(each)
        try:
            async with asyncio.timeout(ATTACH_S):
                await asyncio.shield(self._attached(await self._connected(), each))
        except TimeoutError:
            reason = self.trouble or "its queue is not usable"
            log.warning("bus: will serve later", queue=each.name, reason=reason)

    async def _shut(self) -> None:
        """Take no more work, give what runs a moment to be answered, then let go."""
        session = self._session
        try:
            async with asyncio.timeout(GRACE_S):
                if session is not None:
                    for queue, tag in session.consumers:
                        await queue.cancel(tag)
                if self._deliveries:
                    await asyncio.wait(self._deliveries)
        except LOST as error:
            log.warning("bus closed with work left", reason=type(error).__name__)
        ending = [*self._tasks, *self._deliveries]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    @property
    def _broker(self) -> str:
        """The broker's address without the password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}{parts.path}"

    # Sending

    async def _call(
        self,
        address: str,
        method: str,
        payload: bytes,
        timeout_s: float,
        headers: Mapping[str, str],
    ) -> Answer:
        deadline = self._loop.time() + timeout_s
        message_id = headers[MESSAGE_ID]
        reply: asyncio.Future[Answer] = self._loop.create_future()
        self._replies[message_id] = reply
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    session = await self._connected()
                    # A call that nobody waits for any more need not be carried out.
                    left_s = max(deadline - self._loop.time(), 0.001)
                    message = _message(
                        payload, headers, type=method, reply_to=session.replies, expiration=left_s
                    )
                    if await self._publish(session, "", address, message):
                        await asyncio.wait(
                            (reply, session.lost), return_when=asyncio.FIRST_COMPLETED
                        )
                    if reply.done():
                        return reply.result()
        except TimeoutError:
            reason = f"; the broker cannot be reached ({self.trouble})" if self.trouble else ""
            text = f"{address} did not answer {method} within {timeout_s:g} s{reason}"
            raise AgentTimeout(text) from None
        finally:
            self._replies.pop(message_id, None)

    async def _confirmed(self, exchange: str, key: str, message: aio_pika.Message) -> None:
        """Publish until the broker has taken the message over."""
        try:
            async with asyncio.timeout(CONFIRM_S):
                while not await self._publish(await self._connected(), exchange, key, message):
                    pass
        except TimeoutError:
            reason = self.trouble or "no confirmation"
            text = f"the broker took no message for {key} within {CONFIRM_S:g} s: {reason}"
            raise AgentTimeout(text) from None

    async def _publish(
        self, session: Session, exchange: str, key: str, message: aio_pika.Message
    ) -> bool:
        """Publish once, and say whether the broker has it; if not, it is worth trying again."""
        target = session.exchanges[exchange] if exchange else session.calls
        try:
            await target.publish(message, key, mandatory=not exchange)
        except DeliveryError as error:
            # A broker that was away has no queue yet, or one that takes nothing yet.
            if self._loop.time() < session.settled_at:
                await asyncio.sleep(RETRY_MIN_S)
                return False
            if isinstance(error, PublishError):
                raise AgentUnreachable(f"{key} is not served by anyone") from None
            raise AgentBusy(f"too many messages wait for {key} already") from None
        except LOST:
            session.lose()
            await asyncio.sleep(0)
            return False
        return True

    def _ring(self, topic: str) -> None:
        is_ringing = topic in self._rings
        self._rings[topic] = True
        if not is_ringing:
            self._start(self._ring_out(topic))

    async def _ring_out(self, topic: str) -> None:
        """Ring until nobody asked for it again meanwhile: a ring says what was true before it."""
        try:
            while self._rings[topic]:
                self._rings[topic] = False
                message = _message(b"", {MESSAGE_ID: clock.new_id()}, type=topic)
                await self._confirmed(DOORBELLS, topic, message)
        except BusError as error:
            log.warning("a doorbell was not heard", topic=topic, reason=str(error))
        finally:
            del self._rings[topic]

    # Receiving

    async def _take_reply(self, message: AbstractIncomingMessage) -> None:
        reply = self._replies.get(message.correlation_id or "")
        if reply is not None and not reply.done():
            reply.set_result(Answer(message.body, failed=message.type == FAILED))

    def _tracked(self, handle: Told) -> Told:
        """The same, as deliveries that `close` gives a moment to be answered."""

        async def told(message: AbstractIncomingMessage) -> None:
            task = self._loop.create_task(handle(message))
            self._deliveries.add(task)
            task.add_done_callback(self._deliveries.discard)
            await asyncio.wait((task,))

        return told

    async def _answer(
        self, session: Session, served: Served, message: AbstractIncomingMessage
    ) -> None:
        if not message.message_id or not message.type:
            log.warning("a message that is no call was thrown away", address=served.name)
            await message.reject(requeue=False)
            return
        answer, is_new = served.peer.admit(message.message_id)
        if is_new:
            headers = {name: str(value) for name, value in message.headers.items()}
            served.threads.submit(
                served.peer.carry_out, message.type, message.body, headers, answer
            )
        found = await asyncio.wrap_future(answer)
        try:
            if message.reply_to:
                reply = aio_pika.Message(
                    found.payload,
                    type=FAILED if found.failed else DONE,
                    correlation_id=message.message_id,
                )
                async with asyncio.timeout(CONFIRM_S):
                    await session.calls.publish(reply, message.reply_to, mandatory=False)
            await message.ack()
        except LOST as error:
            # The broker delivers the message again, and the kept answer goes out then.
            log.warning("an answer was not sent", address=served.name, reason=str(error))

    async def _tell(self, each: Heard, message: AbstractIncomingMessage) -> None:
        await self._loop.run_in_executor(
            each.threads, each.told, message.type or "", message.body
        )  # fmt: skip
        try:
            await message.ack()
        except LOST as error:
            log.warning("a notification was not acknowledged", reason=str(error))


def _message(payload: bytes, headers: Mapping[str, str], **properties: Any) -> aio_pika.Message:
    return aio_pika.Message(
        payload,
        headers=dict(headers),
        message_id=headers[MESSAGE_ID],
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        **properties,
    )


def _one_thread(topic: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix=f"hears {topic}")
