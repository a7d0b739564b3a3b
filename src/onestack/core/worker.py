"""The worker: an engine on an event loop, asleep until a flow is due or a doorbell rings."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from onestack.core import clock, doorbell, log
from onestack.core.engine import Engine, Outcome, Work
from onestack.core.flow_record import DOORBELL

ERRANDS_MAX = 32
POLL_S = 5.0  # for the doorbells of other hosts, which may get lost
TROUBLE_S = 1.0
RENEWALS_PER_LEASE = 3


class Worker:
    """Steps run on the event loop, one at a time; errands, which wait, in a pool of threads.

    Its name, when it has one, is nobody else's at the same time.
    """

    def __init__(self, engine: Engine, name: str = "", errands_max: int = ERRANDS_MAX) -> None:
        self.engine = engine
        engine.holder = name
        self._errands_max = errands_max
        self._pool = ThreadPoolExecutor(errands_max, thread_name_prefix="errand")
        self._out: dict[asyncio.Future[Outcome], Work] = {}
        self._poll_s = None if engine.database.is_sqlite else POLL_S

    async def serve(self) -> None:
        """Run flows until cancelled."""
        engine = self.engine
        with doorbell.hearing(engine.database, DOORBELL, engine.ring):
            renewing = asyncio.create_task(self._renew())
            try:
                if engine.holder:
                    engine.take_back()
                engine.prepare()
                while True:
                    await engine.bell.wait(await self._turn())
            finally:
                renewing.cancel()
                self._pool.shutdown(wait=False, cancel_futures=True)
                engine.release(work.row for work in self._out.values())

    async def _turn(self) -> float | None:
        """Do what can be done now; how long there will be nothing to do."""
        try:
            for future in [each for each in self._out if each.done()]:
                work = self.engine.settle(self._out.pop(future), future.result())
                if work is not None:
                    self._send_out(work)
            while len(self._out) < self._errands_max:
                row = self.engine.take()
                if row is None:
                    return self._wait_s()
                work = self.engine.advance(row)
                if work is not None:
                    self._send_out(work)
                await asyncio.sleep(0)  # requests come between two steps
        except Exception as error:
            log.exception("the worker has trouble", error)
            return TROUBLE_S
        return self._poll_s

    def _wait_s(self) -> float | None:
        due_at = self.engine.next_due()
        if due_at is None:
            return self._poll_s
        wait_s = (due_at - clock.now()).total_seconds()
        return wait_s if self._poll_s is None else min(wait_s, self._poll_s)

    def _send_out(self, work: Work) -> None:
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, self.engine.carry_out, work)
        self._out[future] = work
        future.add_done_callback(lambda _: self.engine.ring())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.engine.lease_s / RENEWALS_PER_LEASE)
            if not self._out:
                continue
            try:
                self.engine.renew(work.row for work in self._out.values())
            except Exception as error:
                log.exception("leases could not be renewed", error)
