"""How long it takes to place a server among many hosts: no engine is needed, and no network.

    python bench/scheduling.py --hosts 10000 --servers 500

Hosts report as agents do. Each server is placed in a transaction of its own: candidates, filters,
weights, the claim and the decision that is kept. The second half is measured apart: it must be no
slower than the first.
"""

import json
import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec

from onestack import main
from onestack.compute import placing
from onestack.compute.hypervisor import HostDescription
from onestack.core import log
from onestack.core.agents import Registry, Report
from onestack.core.context import Cloud
from onestack.core.db import Database

AT_ONCE = 500
SIZE = placing.Size(1, 512, 1, {})


def report(cloud: Cloud, count: int) -> float:
    """Let hosts come; how long each of them took, in milliseconds."""
    description = HostDescription(
        driver="simulated", hypervisor_type="fake", hypervisor_version=1000, vcpus=64,
        memory_mb=262_144, disk_gb=10_000,
    )  # fmt: skip
    said = msgspec.to_builtins(description)
    registry = cloud.get(Registry)
    reports = [Report(f"h{n}", "hypervisor", "simulated", "boot", said) for n in range(count)]
    began = time.perf_counter()
    for at in range(0, count, AT_ONCE):
        registry.report(reports[at : at + AT_ONCE])
    return (time.perf_counter() - began) * 1000 / count


def place(cloud: Cloud, server_id: str) -> tuple[float, float]:
    """Place one server; how long it took and how much CPU time, in milliseconds."""
    spec = placing.spec_of_size(
        SIZE, {}, server_id=server_id, project_id="p", user_id="u", zone=None, host=None
    )
    began = time.perf_counter(), time.process_time()
    with cloud.get(Database).transaction() as session:
        if not placing.place(session, cloud, [spec]):
            raise RuntimeError("a server found no host")
    return (time.perf_counter() - began[0]) * 1000, (time.process_time() - began[1]) * 1000


@contextmanager
def built() -> Iterator[Cloud]:
    """A cloud in a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="onestack-bench-") as folder:
        cloud = main.build(Path(folder), "http://127.0.0.1:5000", os.environ, durable=False)
        yield cloud
        main.close(cloud)


def figures(name: str, times: list[tuple[float, float]]) -> dict[str, object]:
    """What is said of a run of measurements: CPU time is what a shared machine does not blur."""
    walls, cpus = sorted(each[0] for each in times), sorted(each[1] for each in times)
    last = int(len(times) * 0.99)
    return {
        "name": name, "count": len(times), "p50_ms": round(median(walls), 3),
        "p99_ms": round(walls[last], 3), "p50_cpu_ms": round(median(cpus), 3),
        "p99_cpu_ms": round(cpus[last], 3),
    }  # fmt: skip


def run() -> int:
    """Measure, and print one JSON object a line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--servers", type=int, default=500)
    arguments = parser.parse_args()
    log.configure("error")
    with built() as cloud:
        each_ms = report(cloud, arguments.hosts)
        again_ms = report(cloud, arguments.hosts)  # they are alive for a minute
        lines = [{"name": "host_enrolled", "count": arguments.hosts, "mean_ms": round(each_ms, 3)}]
        lines += [{"name": "host_seen", "count": arguments.hosts, "mean_ms": round(again_ms, 3)}]
        times = [place(cloud, f"server-{n}") for n in range(arguments.servers)]
    half = len(times) // 2
    lines += [
        figures("first_placed", times[:1]),
        figures("placed", times[1:]),
        figures("placed_first_half", times[1:half]),
        figures("placed_second_half", times[half:]),
    ]
    for line in lines:
        sys.stdout.write(json.dumps(line) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(run())
