"""Identity under load: tokens issued and validated, projects listed, and a storm of logins."""

import asyncio
import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cloud
import load
import processes

STORM_CLIENTS = 32
PROBE_INTERVAL_S = 0.02
STORM_S = 10
# A login takes a quarter of a second of CPU time, so many at once need a while to be answered.
LOGIN_S = 10


@dataclass(frozen=True)
class Length:
    """How long a figure is measured."""

    seconds: float
    runs: int


@dataclass(frozen=True)
class Requests:
    """The requests that are measured."""

    issue: load.Request
    validate: load.Request
    projects: load.Request
    version: load.Request


def requests_of(signed_in: cloud.Cloud) -> Requests:
    """The requests, for a cloud and its token."""
    url = signed_in.account.identity_url
    own = {"X-Auth-Token": signed_in.token}
    body = json.dumps(signed_in.account.sign_in_body()).encode()
    return Requests(
        issue=load.Request(
            "POST", url + "/auth/tokens", {"Content-Type": "application/json"}, body
        ),
        validate=load.Request(
            "GET", url + "/auth/tokens", {**own, "X-Subject-Token": signed_in.token}
        ),
        projects=load.Request("GET", url + "/projects", own),
        version=load.Request("GET", url),
    )


def figures(requests: Requests, length: Length, roots: Sequence[int]) -> Iterator[dict[str, Any]]:
    """All figures, each as soon as it is measured."""
    plan = (
        ("identity_version", requests.version, (16,)),
        ("identity_token_validate", requests.validate, (1, 16)),
        ("identity_projects_list", requests.projects, (1, 16)),
        ("identity_token_issue", requests.issue, (1, 16, 32)),
    )
    for name, request, concurrencies in plan:
        seconds = max(length.seconds, LOGIN_S) if request is requests.issue else length.seconds
        for concurrency in concurrencies:
            runs = [load.apply(request, concurrency, seconds, roots) for _ in range(length.runs)]
            yield load.Figure(f"{name}_c{concurrency}", concurrency, runs).line()
    yield from storm(requests, length, roots)
    yield from hash_limit()


def storm(requests: Requests, length: Length, roots: Sequence[int]) -> Iterator[dict[str, Any]]:
    """How long other requests take while many clients log in, and while none does."""
    for name, clients in (("calm", 0), ("storm", STORM_CLIENTS)):
        meter = load.Meter(roots)
        samples = asyncio.run(_storm(requests, clients, max(length.seconds, STORM_S)))
        _, others = meter.finish(0)
        for kind, sample in samples.items():
            if not sample.count and not sample.errors:
                continue
            concurrency = clients if kind == "login" else 1
            line = load.Figure(f"identity_{name}_{kind}", concurrency, [sample]).line()
            yield line | {"other_cores": [others]}


async def _storm(requests: Requests, clients: int, seconds: float) -> dict[str, load.Sample]:
    deadline = time.perf_counter() + seconds

    def is_over() -> bool:
        return time.perf_counter() >= deadline

    login = asyncio.create_task(load.closed_loop(requests.issue, clients, seconds))
    # The logins must all be under way before the first probe counts.
    await asyncio.sleep(0.5)
    validate, projects = await asyncio.gather(
        load.paced(requests.validate, PROBE_INTERVAL_S, is_over),
        load.paced(requests.projects, PROBE_INTERVAL_S, is_over),
    )
    return {"login": await login, "token_validate": validate, "projects_list": projects}


def hash_limit() -> Iterator[dict[str, Any]]:
    """What the password hash alone costs on this machine, which no login can undercut."""
    try:
        import bcrypt
    except ImportError:
        return
    hashed = bcrypt.hashpw(b"password", bcrypt.gensalt(12))
    started = time.process_time()
    for _ in range(5):
        bcrypt.checkpw(b"password", hashed)
    cost_ms = (time.process_time() - started) * 1000 / 5
    yield {"name": "limit_bcrypt_12_rounds", "concurrency": 1, "cpu_ms": round(cost_ms, 1)}


def main() -> int:
    """Measure the cloud that the command line names; one JSON object a line."""
    parser = ArgumentParser(description=__doc__)
    cloud.add_arguments(parser)
    parser.add_argument("--seconds", type=float, default=8, help="length of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts")
    parser.add_argument(
        "--pids", nargs="*", default=[], help="the server's process ids, pid files or folders"
    )
    arguments = parser.parse_args()
    signed_in = cloud.Cloud(cloud.account_from_arguments(arguments))
    signed_in.sign_in()
    length = Length(arguments.seconds, arguments.runs)
    roots = processes.roots_of(arguments.pids)
    for line in figures(requests_of(signed_in), length, roots):
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
