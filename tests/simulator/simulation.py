"""The simulator: runs a scenario with each thing that can go wrong, alone and together."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

from onestack.core import clock
from tests.simulator.scenario import Scenario
from tests.simulator.world import QUIET, Ground, Killed, Skewed, World

FAULTS = ("lose request", "lose answer", "double", "delay")
SKEW_S = 40.0
# PostgreSQL is ten times as slow: there every ninth point is tried, and SQLite tries them all.
STRIDE = 9 if os.environ.get("ONESTACK_TEST_DATABASE") == "postgresql" else 1
TROUBLES_MAX = 3  # fewer than a step has tries, so the goal must be reached

Arrange = Callable[[World], None]


def run(ground: Ground, scenario: Scenario, arrange: Arrange, seed: int = 0) -> World:
    """One run, after which all that must be true was checked."""
    with clock.use(clock.Simulated(seed)) as time:
        assert isinstance(time, clock.Simulated)
        world = World(ground, scenario, time)
        try:
            arrange(world)
            world.request(scenario.begin)
            world.run()
            world.check()
        finally:
            ground.world = None
    return world


def every_crash_point(ground: Ground, scenario: Scenario) -> int:
    """Kill the process at every statement, before and after every commit and call; how many."""
    points = run(ground, scenario, lambda world: None).points
    for point in range(1, points + 1, STRIDE):
        with _told(f"killed at point {point} of {points}"):
            run(ground, scenario, partial(_kill_at, point))
    return points


def every_lost_message(ground: Ground, scenario: Scenario) -> int:
    """Lose, double and delay every call; how many calls there are."""
    calls = run(ground, scenario, lambda world: None).calls
    for call in range(1, calls + 1, STRIDE):
        for fault in FAULTS:
            with _told(f"{fault} at call {call} of {calls}"):
                run(ground, scenario, partial(_fault_at, call, fault))
    return calls


def every_zombie(ground: Ground, scenario: Scenario) -> int:
    """At every point at which no transaction is open, stop the process for longer than its lease,
    let another one finish the work, then let the first go on."""
    return _at_quiet_points(ground, scenario, World.overtake)


def every_interruption(ground: Ground, scenario: Scenario) -> int:
    """At every such point, let the other user's request in; its flow is then ahead or behind."""
    count = _at_quiet_points(ground, scenario, World.interrupt)
    return count + _at_quiet_points(ground, scenario, _interrupt_and_overtake)


def simulate(ground: Ground, scenario: Scenario, seed: int) -> None:
    """A run with several troubles, chosen by a seed, on two hosts whose clocks differ."""
    chance = random.Random(seed)
    points, calls = _measured(ground, scenario)
    kinds = ["kill", "fault", "zombie"] + ["interrupt"] * scenario.can_be_interrupted
    troubles = {chance.randint(1, points): chance.choice(kinds) for _ in range(TROUBLES_MAX)}
    faults = {
        chance.randint(1, calls or 1): chance.choice(FAULTS)
        for kind in troubles.values() if kind == "fault"
    }  # fmt: skip

    def arrange(world: World) -> None:
        world.at_call = lambda number: faults.get(number, "deliver")
        due: list[str] = []

        def at_point(number: int, kind: str) -> None:
            if number in troubles:
                due.append(troubles[number])
            if "kill" in due:
                due.remove("kill")
                raise Killed
            if kind in QUIET and due:
                what = due.pop()
                if what == "zombie":
                    world.overtake()
                elif what == "interrupt" and not world.was_interrupted:
                    world.interrupt()

        world.at_point = at_point

    with _told(f"ONESTACK_SEED={seed}"), clock.use(clock.Simulated(seed)) as time:
        assert isinstance(time, clock.Simulated)
        world = World(ground, scenario, time)
        clocks: list[clock.Source] = [time, Skewed(time, chance.uniform(-SKEW_S, SKEW_S))]
        try:
            arrange(world)
            world.request(scenario.begin)
            world.run(lambda turn: chance.choice(clocks))
            world.check()
        finally:
            ground.world = None


def seeds(count: int) -> list[int]:
    """The seed that ONESTACK_SEED names, else the first ones."""
    chosen = os.environ.get("ONESTACK_SEED")
    return [int(chosen)] if chosen else list(range(0, count, STRIDE))


@cache
def _measured(ground: Ground, scenario: Scenario) -> tuple[int, int]:
    """How many points and calls a run without troubles has."""
    plain = run(ground, scenario, lambda world: None)
    return plain.points, plain.calls


def _at_quiet_points(ground: Ground, scenario: Scenario, act: Callable[[World], None]) -> int:
    seen = run(ground, scenario, lambda world: None).seen
    quiet = [number for number, kind in enumerate(seen, 1) if kind in QUIET]
    for point in quiet[::STRIDE]:
        with _told(f"{act.__name__} at point {point} of {len(seen)}, after {seen[point - 1]}"):
            run(ground, scenario, partial(_act_at, point, act))
    return len(quiet)


def _interrupt_and_overtake(world: World) -> None:
    world.interrupt()
    world.overtake()


def _kill_at(point: int, world: World) -> None:
    def kill(number: int, _kind: str) -> None:
        if number == point:
            raise Killed

    world.at_point = kill


def _act_at(point: int, act: Callable[[World], None], world: World) -> None:
    is_due = True

    def at_point(number: int, kind: str) -> None:
        nonlocal is_due
        # Runs may differ by a statement: what was a quiet point in one is none in another.
        if is_due and number >= point and kind in QUIET:
            is_due = False
            act(world)

    world.at_point = at_point


def _fault_at(call: int, fault: str, world: World) -> None:
    world.at_call = lambda number: fault if number == call else "deliver"


@contextmanager
def _told(what: str) -> Iterator[None]:
    """A failure says what went wrong before it, so that it can be had again."""
    try:
        yield
    except Exception as error:
        error.add_note(what)
        raise
