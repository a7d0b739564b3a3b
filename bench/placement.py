"""Placement under load: providers made, one shown, and candidates found among a thousand."""

import asyncio
import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import cloud
import load
import processes
import startup
from identity import Length

PROVIDERS = 1000
CLIENTS = 8
CONCURRENCIES = (1, 16)
INVENTORIES = {
    "VCPU": {"total": 64, "allocation_ratio": 4.0},
    "MEMORY_MB": {"total": 262144},
    "DISK_GB": {"total": 2000},
}
WANTED = "resources=VCPU:1,MEMORY_MB:512,DISK_GB:1"


@dataclass(frozen=True)
class Api:
    """Where placement is, and how it is asked."""

    url: str
    headers: dict[str, str]

    def request(self, method: str, path: str, body: Any = None) -> load.Request:
        """One request, ready to be sent."""
        content = b"" if body is None else json.dumps(body).encode()
        extra = {"Content-Type": "application/json"} if content else {}
        return load.Request(method, self.url + path, {**self.headers, **extra}, content)


def api_of(signed_in: cloud.Cloud) -> Api:
    """Placement of a cloud, as the catalogue names it."""
    url = signed_in.endpoint("placement")
    if url is None:
        raise SystemExit("the catalogue has no placement service")
    headers = {"X-Auth-Token": signed_in.token, "OpenStack-API-Version": "placement 1.39"}
    return Api(url, headers)


def figures(
    api: Api, length: Length, roots: Sequence[int], providers: int = PROVIDERS
) -> Iterator[dict[str, Any]]:
    """All figures; what is made for them is removed."""
    ids = [str(uuid4()) for _ in range(providers)]
    body = {"resource_provider_generation": 0, "inventories": INVENTORIES}
    make = [
        api.request("POST", "/resource_providers", {"name": f"bench-{id_}", "uuid": id_})
        for id_ in ids
    ]
    stock = [api.request("PUT", f"/resource_providers/{id_}/inventories", body) for id_ in ids]
    remove = [api.request("DELETE", f"/resource_providers/{id_}") for id_ in ids]
    try:
        yield each_once(f"placement_provider_create_c{CLIENTS}", make, roots)
        yield each_once(f"placement_inventory_put_c{CLIENTS}", stock, roots)
        plan = (
            (f"placement_candidates_all{providers}", f"/allocation_candidates?{WANTED}"),
            ("placement_candidates_limit10", f"/allocation_candidates?{WANTED}&limit=10"),
            ("placement_provider_get", f"/resource_providers/{ids[0]}"),
        )
        for name, path in plan:
            request = api.request("GET", path)
            for concurrency in CONCURRENCIES:
                runs = [
                    load.apply(request, concurrency, length.seconds, roots)
                    for _ in range(length.runs)
                ]
                yield load.Figure(f"{name}_c{concurrency}", concurrency, runs).line()
        yield after_each_allocation(api, ids, roots)
    finally:
        each_once("placement_provider_delete", remove, roots)


def each_once(name: str, requests: Sequence[load.Request], roots: Sequence[int]) -> dict[str, Any]:
    """Send each request once, some at a time."""
    meter = load.Meter(roots)
    sample = asyncio.run(_each_once(requests))
    cpu_ms, others = meter.finish(sample.count)
    line = load.Figure(name, CLIENTS, [sample]).line()
    return {**line, "cpu_ms": cpu_ms, "other_cores": [others]}


def after_each_allocation(api: Api, ids: Sequence[str], roots: Sequence[int]) -> dict[str, Any]:
    """A search behind every write: what a scheduler pays, whose cloud never stands still."""
    search = api.request("GET", f"/allocation_candidates?{WANTED}&limit=10")
    consumers = [str(uuid4()) for _ in ids]
    requests: list[load.Request] = []
    for consumer, provider in zip(consumers, ids, strict=True):
        claim = {
            "allocations": {provider: {"resources": {"VCPU": 1, "MEMORY_MB": 512}}},
            "project_id": "bench", "user_id": "bench", "consumer_type": "BENCH",
            "consumer_generation": None,
        }  # fmt: skip
        requests += [api.request("PUT", f"/allocations/{consumer}", claim), search]
    line = each_once("placement_allocate_and_search", requests, roots)
    each_once("release", [api.request("DELETE", f"/allocations/{each}") for each in consumers], [])
    return line


async def _each_once(requests: Sequence[load.Request]) -> load.Sample:
    tally, waiting = load.Tally(), iter(requests)
    started = time.perf_counter()

    async def client(url: str) -> None:
        async with load.Connection(url) as connection:
            for request in waiting:
                await tally.count(connection.exchange(request.encoded()), time.perf_counter())

    await asyncio.gather(*(client(requests[0].url) for _ in range(CLIENTS)))
    return tally.sample(time.perf_counter() - started)


def main() -> int:
    """Measure a cloud that runs, or one of our own; one JSON object a line."""
    parser = ArgumentParser(description=__doc__)
    cloud.add_arguments(parser)
    parser.add_argument("--command", help="start and measure a cloud of its own with this command")
    parser.add_argument("--seconds", type=float, default=6, help="length of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--providers", type=int, default=PROVIDERS)
    parser.add_argument("--pids", nargs="*", default=[], help="processes of a named cloud")
    arguments = parser.parse_args()
    length = Length(arguments.seconds, arguments.runs)
    if arguments.command:
        with startup.EphemeralCloud(arguments.command) as started:
            api = api_of(started.signed_in)
            _print(figures(api, length, [started.pid], arguments.providers))
        return 0
    signed_in = cloud.Cloud(cloud.account_from_arguments(arguments))
    signed_in.sign_in()
    roots = processes.roots_of(arguments.pids)
    _print(figures(api_of(signed_in), length, roots, arguments.providers))
    return 0


def _print(lines: Iterator[dict[str, Any]]) -> None:
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
