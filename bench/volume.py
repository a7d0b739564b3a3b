"""Volumes under load: a hundred made until they are available, listed and deleted."""

import sys
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any

import cloud
import services
from identity import Length
from services import Api, Line, again_and_again, each_once, until

VOLUMES = 100
KINDS = ("block-storage", "volumev3", "volume")


def figures(api: Api, length: Length, roots: Sequence[int]) -> Iterator[Line]:
    """All figures; what is made for them is removed."""
    services.unlimited(api, "/os-quota-sets/{}", "quota_set", ("volumes", "gigabytes"))
    available, gone = [], []
    make = [api.request("POST", "/volumes", _volume(number)) for number in range(VOLUMES)]
    for run in range(length.runs):
        began = time.perf_counter()
        yield each_once("cinder_volume_post_c8", make, roots)
        available.append(until(lambda: len(_ours(api, "available")) == VOLUMES) - began)
        if run == length.runs - 1:
            request = api.request("GET", "/volumes/detail")
            for concurrency in (1, 8):
                name = "cinder_volumes_detail_100"
                yield again_and_again(name, request, concurrency, length, roots)
        began = time.perf_counter()
        remove = [api.request("DELETE", f"/volumes/{each}") for each in _ours(api)]
        yield each_once("cinder_volume_delete_c8", remove, roots)
        gone.append(until(lambda: not _ours(api)) - began)
    for name, runs in (("available", available), ("deleted", gone)):
        value = round(sorted(runs)[len(runs) // 2], 3)
        rounded = [round(each, 3) for each in runs]
        yield {"name": f"cinder_100_volumes_{name}_c8", "value": value, "unit": "s",
               "runs": rounded}  # fmt: skip


def _volume(number: int) -> dict[str, Any]:
    return {"volume": {"name": f"bench-{number}", "size": 1}}


def _ours(api: Api, status: str | None = None) -> list[str]:
    found = api.ask("GET", "/volumes/detail?limit=1000")["volumes"]
    return [
        each["id"] for each in found
        if str(each["name"]).startswith("bench-") and status in (None, each["status"])
    ]  # fmt: skip


def _figures(
    signed_in: cloud.Cloud, length: Length, roots: Sequence[int], _arguments: Namespace
) -> Iterator[Line]:
    return figures(services.api_of(signed_in, KINDS, "volume 3.60"), length, roots)


if __name__ == "__main__":
    sys.exit(services.measured(__doc__, _figures))
