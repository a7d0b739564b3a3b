"""Drift: where rows and hosts disagree, found by asking the hosts what they have.

What is under way at the moment of the look is nobody's mistake: only what is still so a moment
later is told.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from onestack.core import agents, clock, log
from onestack.core.bus import Bus, BusError, agent_address
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.core.shapes import Shape

PAUSE_S = 1.0
ASK_S = 20.0


# A rule of dataclasses that Structs do not have: what is frozen may inherit from what is not.
class Disagreement(Shape, frozen=True, order=True, kw_only=False):  # type: ignore[misc]
    """Something that is not what it should be, and what mends it."""

    kind: str
    subject: str
    host: str
    text: str
    mend: str


# Told of a host that was asked, and of what it has.
Check = Callable[[Session, Cloud, str, Any], Iterable[Disagreement]]


class Inspection(msgspec.Struct, frozen=True):
    """How a kind of agent is asked for what it has, and who compares that with the rows."""

    kind: str
    contract: object
    method: str
    check: Check


class Inspections(msgspec.Struct):
    """All that can be compared; each service adds its own."""

    all: list[Inspection] = []

    def add(self, inspection: Inspection) -> None:
        self.all.append(inspection)


def found(cloud: Cloud) -> list[Disagreement]:
    """Every disagreement that lasts; on a thread, since hosts are waited for."""
    first = _look(cloud)
    if not first:
        return []
    clock.sleep(PAUSE_S)
    return sorted(first & _look(cloud))


def _look(cloud: Cloud) -> set[Disagreement]:
    seen: set[Disagreement] = set()
    database = cloud.get(Database)
    with database.transaction(write=False) as session:
        posts = [(each.host, each.kind, each.is_alive) for each in agents.known(session)]
    inventories = _asked(cloud, posts, seen)
    with database.transaction(write=False) as session:
        for each in cloud.get(Inspections).all:
            for host, had in inventories.get(each.kind, {}).items():
                seen.update(each.check(session, cloud, host, had))
    return seen


def _asked(
    cloud: Cloud, posts: Iterable[tuple[str, str, bool]], seen: set[Disagreement]
) -> Mapping[str, Mapping[str, Any]]:
    """What each host that answers has, by kind and host."""
    inventories: dict[str, dict[str, Any]] = {}
    for host, kind, is_alive in posts:
        for each in cloud.get(Inspections).all:
            if each.kind != kind:
                continue
            try:
                if not is_alive:
                    raise BusError("it has not been heard of lately")
                address = agent_address(host, kind)
                answer = cloud.get(Bus).call(each.contract, address, each.method, {}, ASK_S)
                inventories.setdefault(kind, {})[host] = answer
            except BusError as error:
                log.info("a host could not be inspected", host=host, kind=kind, reason=str(error))
                mend = "start its agent, or see its log: onestack logs"
                seen.add(Disagreement("agent", kind, host, f"does not answer: {error}", mend))
    return inventories
