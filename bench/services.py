"""What the benches of all services share: how a service is asked, and two ways to measure."""

import asyncio
import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cloud
import load
import processes
import startup
from identity import Length

CLIENTS = 8
PAUSE_S = 0.05
PATIENCE_S = 600.0
SETTLE_S, SETTLE_LIMIT_S, IDLE_SHARE = 1.0, 30.0, 0.05

Line = dict[str, Any]


@dataclass(frozen=True)
class Api:
    """Where a service is, and how it is asked."""

    signed_in: cloud.Cloud
    url: str
    headers: dict[str, str]

    def request(self, method: str, path: str, body: Any = None) -> load.Request:
        """One request, ready to be sent."""
        content = b"" if body is None else json.dumps(body).encode()
        extra = {"Content-Type": "application/json"} if content else {}
        return load.Request(method, self.url + path, {**self.headers, **extra}, content)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request, sent and answered."""
        answer = self.signed_in.request(method, self.url + path, body, self.headers)
        if answer.status >= 400:
            raise cloud.Refused(f"{method} {path}: {answer.status}")
        return answer.document() if answer.body else None


def api_of(signed_in: cloud.Cloud, kinds: Sequence[str], version: str, ending: str = "") -> Api:
    """A service of a cloud, as the catalogue names it."""
    url = next((found for kind in kinds if (found := signed_in.endpoint(kind))), None)
    if url is None:
        raise SystemExit(f"the catalogue has no {kinds[0]} service")
    url = url.rstrip("/")
    headers = {"X-Auth-Token": str(signed_in.token)}
    if version:
        headers["OpenStack-API-Version"] = version
    return Api(signed_in, url if url.endswith(ending) else url + ending, headers)


def unlimited(api: Api, path: str, key: str, names: Sequence[str]) -> None:
    """Let the project make as much as a bench makes."""
    project_id = api.signed_in.token_document["project"]["id"]
    api.ask("PUT", path.format(project_id), {key: dict.fromkeys(names, -1)})


def each_once(
    name: str, requests: Sequence[load.Request], roots: Sequence[int], clients: int = CLIENTS
) -> Line:
    """Send each request once, some at a time."""
    meter = load.Meter(roots)
    sample = asyncio.run(_each_once(requests, clients))
    cpu_ms, others = meter.finish(sample.count)
    line = load.Figure(name, clients, [sample]).line()
    return {**line, "cpu_ms": cpu_ms, "other_cores": [others]}


def again_and_again(
    name: str, request: load.Request, concurrency: int, length: Length, roots: Sequence[int]
) -> Line:
    """Send one request all the time, some at a time."""
    runs = [load.apply(request, concurrency, length.seconds, roots) for _ in range(length.runs)]
    return load.Figure(f"{name}_c{concurrency}", concurrency, runs).line()


def until(holds: Callable[[], bool]) -> float:
    """Wait until something holds; the moment when it was seen to."""
    deadline = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < deadline:
        if holds():
            return time.perf_counter()
        time.sleep(PAUSE_S)
    raise SystemExit(f"what was waited for did not happen in {PATIENCE_S:.0f} s")


def settled(roots: Sequence[int]) -> None:
    """Wait until a new cloud has furnished itself, or its own work is counted as the requests'."""
    deadline = time.perf_counter() + SETTLE_LIMIT_S
    while time.perf_counter() < deadline:
        before = processes.cpu_s(roots)
        time.sleep(SETTLE_S)
        if processes.cpu_s(roots) - before < SETTLE_S * IDLE_SHARE:
            return


def measured(
    description: str | None,
    figures: Callable[[cloud.Cloud, Length, Sequence[int], Namespace], Iterator[Line]],
    more: Callable[[ArgumentParser], None] = lambda parser: None,
) -> int:
    """Measure a cloud that runs, or one of our own; one JSON object a line."""
    parser = ArgumentParser(description=description)
    cloud.add_arguments(parser)
    parser.add_argument("--command", help="start and measure a cloud of its own with this command")
    parser.add_argument("--seconds", type=float, default=6, help="length of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--pids", nargs="*", default=[], help="processes of a named cloud")
    more(parser)
    arguments = parser.parse_args()
    length = Length(arguments.seconds, arguments.runs)
    if arguments.command:
        with startup.EphemeralCloud(arguments.command) as started:
            settled([started.pid])
            _print(figures(started.signed_in, length, [started.pid], arguments))
        return 0
    signed_in = cloud.Cloud(cloud.account_from_arguments(arguments))
    signed_in.sign_in()
    roots = processes.roots_of(arguments.pids)
    _print(figures(signed_in, length, roots, arguments))
    return 0


async def _each_once(requests: Sequence[load.Request], clients: int) -> load.Sample:
    tally, waiting = load.Tally(), iter(requests)
    started = time.perf_counter()

    async def client(url: str) -> None:
        async with load.Connection(url) as connection:
            for request in waiting:
                await tally.count(connection.exchange(request.encoded()), time.perf_counter())

    await asyncio.gather(*(client(requests[0].url) for _ in range(clients)))
    return tally.sample(time.perf_counter() - started)


def _print(lines: Iterator[Line]) -> None:
    for line in lines:
        print(json.dumps(line), flush=True)
