"""An agent: serves its host's drivers on the bus, and says again and again that it is there."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from onestack.core import clock, log
from onestack.core.agents import REPORT_S, ROSTER_ADDRESS, Report, Roster
from onestack.core.bus import Bus, BusError, agent_address

FIRST_TRIES_S = 0.2
REPORTS_AT_ONCE = 50  # others write between two messages


class Driver(Protocol):
    """What every contract of a driver has in common."""

    def describe(self) -> Any:
        """What the host has to offer; its `driver` is the driver's name."""


class Post(msgspec.Struct, frozen=True):
    """One driver, the kind of work that it does, its contract, and the hosts that it does it on."""

    kind: str
    driver: Driver
    contract: object
    hosts: Sequence[str]


class Agent:
    """Serves posts; `close` lets go of what the drivers hold, and leaves what they made running."""

    def __init__(self, bus: Bus, posts: Sequence[Post]) -> None:
        self._bus, self._posts = bus, posts
        self._boot = clock.new_id()
        self._is_known = False
        self._stopped = threading.Event()

    def drivers(self, kind: str) -> list[Driver]:
        """The drivers that do one kind of work."""
        return [post.driver for post in self._posts if post.kind == kind]

    def serve(self) -> None:
        """Answer the control plane's calls from here on."""
        for post in self._posts:
            for host in post.hosts:
                self._bus.serve(agent_address(host, post.kind), post.driver, post.contract)

    def report(self) -> None:
        """Say once that all posts are there, and what they have."""
        reports = [
            Report(host, post.kind, said["driver"], self._boot, said)
            for post in self._posts
            for said in (_described(post.driver),)
            for host in post.hosts
        ]
        roster = self._bus.remote(Roster, ROSTER_ADDRESS)
        for at in range(0, len(reports), REPORTS_AT_ONCE):
            if self._stopped.is_set():
                return
            roster.report(reports[at : at + REPORTS_AT_ONCE])
        if not self._is_known:
            drivers = {post.kind: str(post.driver.describe().driver) for post in self._posts}
            log.info("the control plane knows this agent", drivers=drivers)
            self._is_known = True

    def stop(self) -> None:
        """Report no more."""
        self._stopped.set()

    async def run(self) -> None:
        """Serve and report until cancelled; without a post there is nothing to do."""
        if not self._posts:
            return
        await asyncio.to_thread(self.serve)
        try:
            while True:
                wait_s = await asyncio.to_thread(self._tried)
                await asyncio.sleep(wait_s)
        finally:
            self.stop()

    def _tried(self) -> float:
        """Report; how long to wait for the next time."""
        if self._stopped.is_set():
            return REPORT_S
        try:
            self.report()
        except BusError as error:
            log.info("the control plane does not answer yet", reason=str(error))
            return FIRST_TRIES_S
        except Exception as error:
            log.exception("an agent could not report", error)
        return REPORT_S


def _described(driver: Driver) -> dict[str, Any]:
    said: dict[str, Any] = msgspec.to_builtins(driver.describe())
    return said
