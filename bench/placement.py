"""Placement under load: providers made, one shown, and candidates found among a thousand."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import cloud
import load
import services
from identity import Length
from services import CLIENTS, Api, each_once

PROVIDERS = 1000
CONCURRENCIES = (1, 16)
INVENTORIES = {
    "VCPU": {"total": 64, "allocation_ratio": 4.0},
    "MEMORY_MB": {"total": 262144},
    "DISK_GB": {"total": 2000},
}
WANTED = "resources=VCPU:1,MEMORY_MB:512,DISK_GB:1"


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
                yield services.again_and_again(name, request, concurrency, length, roots)
        yield after_each_allocation(api, ids, roots)
    finally:
        each_once("placement_provider_delete", remove, roots)


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


def _figures(
    signed_in: cloud.Cloud, length: Length, roots: Sequence[int], arguments: Namespace
) -> Iterator[services.Line]:
    api = services.api_of(signed_in, ("placement",), "placement 1.39")
    return figures(api, length, roots, arguments.providers)


def _providers(parser: ArgumentParser) -> None:
    parser.add_argument("--providers", type=int, default=PROVIDERS)


if __name__ == "__main__":
    sys.exit(services.measured(__doc__, _figures, _providers))
