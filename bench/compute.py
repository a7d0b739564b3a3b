"""Servers under load, without networks: booted one by one and many at once, listed, deleted."""

import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any

import cloud
import services
from identity import Length
from services import Api, Line, again_and_again, each_once, until

HUNDRED = 100
LONE = 10


class Servers:
    """Servers of a bench, by the beginnings of their names."""

    def __init__(self, api: Api, image: str, flavor: str) -> None:
        self.api = api
        images = services.api_of(api.signed_in, ("image",), "", "/v2")
        asked = f"/images?name={image}&status=active"
        until(lambda: bool(images.ask("GET", asked)["images"]))  # a new cloud makes it first
        self._image = images.ask("GET", asked)["images"][0]["id"]
        path = "/os-quota-sets/{}"
        services.unlimited(api, path, "quota_set", ("instances", "cores", "ram"))
        flavors = api.ask("GET", "/flavors")["flavors"]
        self._flavor = next(each["id"] for each in flavors if each["name"] == flavor)

    def post(self, name: str, **more: Any) -> "services.load.Request":
        server = {
            "name": name, "imageRef": self._image, "flavorRef": self._flavor,
            "networks": "none", **more,
        }  # fmt: skip
        return self.api.request("POST", "/servers", {"server": server})

    def ids(self, prefix: str, status: str = "") -> list[str]:
        asked = f"/servers?limit=1000&name={prefix}" + (f"&status={status}" if status else "")
        return [each["id"] for each in self.api.ask("GET", asked)["servers"]]

    def active(self, prefix: str, count: int) -> float:
        """When that many were seen to be ACTIVE."""
        return until(lambda: len(self.ids(prefix, "ACTIVE")) >= count)

    def delete(self, prefix: str, roots: Sequence[int]) -> tuple[Line, float]:
        """Delete them; the requests' figure, and the seconds until the last one was gone."""
        began = time.perf_counter()
        gone = [self.api.request("DELETE", f"/servers/{each}") for each in self.ids(prefix)]
        line = each_once("nova_server_delete_c8", gone, roots)
        return line, until(lambda: not self.ids(prefix)) - began


def figures(servers: Servers, length: Length, roots: Sequence[int], total: int) -> Iterator[Line]:
    """All figures; what is made for them is removed."""
    api = servers.api
    seconds: dict[str, list[float]] = {}
    made = 0
    for run in range(length.runs):
        prefix = f"bench-one-{run}"
        began = time.perf_counter()
        make = [servers.post(f"{prefix}-{number:03}") for number in range(HUNDRED)]
        yield each_once("nova_server_post_c8", make, roots)
        found = servers.active(prefix, HUNDRED) - began
        seconds.setdefault("nova_100_servers_active_c8", []).append(found)
        made += HUNDRED
        if run == 0:
            yield from _reads(servers, length, roots)
    for number in range(LONE):
        began = time.perf_counter()
        each_once("nova_server_post_c1", [servers.post(f"bench-lone-{number}")], roots, 1)
        found = servers.active(f"bench-lone-{number}", 1) - began
        seconds.setdefault("nova_one_server_active", []).append(found)
        made += 1
    began, before = time.perf_counter(), made
    while made < total:
        count = min(HUNDRED, total - made)
        prefix = f"bench-many-{made:05}"
        many = servers.post(prefix, min_count=count, max_count=count)
        yield each_once("nova_post_min_count_100", [many], roots, 1)
        servers.active(prefix, count)
        made += count
    if made > before:
        rate = (made - before) / (time.perf_counter() - began)
        yield {"name": "nova_servers_active_rate", "value": round(rate, 1), "unit": "servers/s"}
    for concurrency in (1, 8):
        asked = api.request("GET", "/servers/detail?limit=1000")
        name = f"nova_servers_detail_{min(made, 1000)}"
        yield again_and_again(name, asked, concurrency, length, roots)
    line, took_s = servers.delete("bench-one-0", roots)
    yield line
    seconds["nova_100_servers_deleted_c8"] = [took_s]
    for name, runs in seconds.items():
        rounded = [round(each, 3) for each in runs]
        yield {"name": name, "value": sorted(rounded)[len(rounded) // 2], "unit": "s",
               "runs": rounded}  # fmt: skip


def _reads(servers: Servers, length: Length, roots: Sequence[int]) -> Iterator[Line]:
    one = servers.ids("bench-one")[0]
    plan = (
        ("nova_servers_detail_100", "/servers/detail?limit=100"),
        ("nova_server_show", f"/servers/{one}"),
        ("nova_flavors_detail", "/flavors/detail"),
    )
    for name, path in plan:
        for concurrency in (1, 8):
            request = servers.api.request("GET", path)
            yield again_and_again(name, request, concurrency, length, roots)


def _figures(
    signed_in: cloud.Cloud, length: Length, roots: Sequence[int], arguments: Namespace
) -> Iterator[Line]:
    api = services.api_of(signed_in, ("compute",), "compute 2.37")
    servers = Servers(api, arguments.image, arguments.flavor)
    try:
        yield from figures(servers, length, roots, arguments.total)
    finally:
        while servers.ids("bench-"):
            servers.delete("bench-", [])


def _more(parser: ArgumentParser) -> None:
    parser.add_argument("--image", default="tiny")
    parser.add_argument("--flavor", default="m1.nano")
    parser.add_argument("--total", type=int, default=1000, help="servers there at the end")


if __name__ == "__main__":
    sys.exit(services.measured(__doc__, _figures, _more))
