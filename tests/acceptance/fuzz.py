"""Throw bad input at every operation of a running cloud: nothing may break, hang or leak.

    python tests/acceptance/fuzz.py --cloud onestack-admin --cases 20000

First everything that is no valid JSON, then what schemathesis makes from the OpenAPI document that
the cloud itself serves.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import environment
import fuzz_raw
from fuzz_world import World

import cloud

REQUIREMENT = "schemathesis==4.*"
STOP_LIMIT_S = 30


@dataclass
class Sums:
    """What came of all requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    troubles: dict[str, list[str]] = field(default_factory=dict)
    failed: int = 0

    @property
    def total(self) -> int:
        """All requests that were sent."""
        return self.statuses.total()


def throw_raw(document: cloud.Document, arguments: Namespace, account: cloud.Account) -> Sums:
    """The requests that are no valid JSON, in a mixed order, until the time is up."""
    sums = Sums()
    world = World(account)
    deadline = time.monotonic() + arguments.limit / 3
    try:
        chosen = list(fuzz_raw.requests(document, world))
        random.Random(arguments.seed).shuffle(chosen)
        for label, raw in chosen[: arguments.cases]:
            if time.monotonic() > deadline:
                print("the time for raw requests is up", file=sys.stderr)
                break
            status, verdict = fuzz_raw.send(raw, arguments.base_url, world)
            sums.statuses[status] += 1
            if not verdict.is_sound:
                sums.failed += 1
                shown = f"{raw.method} {raw.target[:200]} {raw.content_type} {raw.body[:200]!r}"
                sums.troubles.setdefault(f"{label}: {verdict.problem}", []).append(shown)
    finally:
        world.clean()
    return sums


def throw_generated(
    path: Path, arguments: Namespace, account: cloud.Account, cases: int, limit_s: float
) -> Sums:
    """Let schemathesis, in an environment of its own, make the rest."""
    document = json.loads(path.read_text())
    operations = sum(len(item) for item in document["paths"].values())
    result = path.with_name("result.json")
    command = [str(arguments.programs / "st"), "run", str(path)]
    command += ["--url", arguments.base_url, "--phases", "coverage,fuzzing", "--no-color"]
    command += ["--max-examples", str(max(1, cases // operations)), "--continue-on-failure"]
    command += ["--checks", "answer_is_sound", "--workers", "2", "--request-timeout", "15"]
    command += ["--suppress-health-check", "all", "--warnings", "off", "--no-shrink"]
    command += ["--seed", str(arguments.seed), "--generation-database", "none"]
    if arguments.only:
        command += ["--include-path-regex", arguments.only]
    variables = {name: value for name, value in os.environ.items() if name[:3] != "OS_"}
    variables |= account.environment() | {
        "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("fuzz_hooks.py")),
        "FUZZ_SEED": str(arguments.seed),
        "FUZZ_RESULT": str(result),
    }
    with (path.with_name("output")).open("w") as output:
        process = subprocess.Popen(
            command, env=variables, stdout=output, stderr=subprocess.STDOUT, cwd=path.parent
        )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            print("the time is up", file=sys.stderr)
            process.send_signal(signal.SIGINT)
            process.wait(STOP_LIMIT_S)
    if not result.is_file():
        raise SystemExit(path.with_name("output").read_text()[-3000:])
    found = json.loads(result.read_text())
    sums = Sums(Counter({int(status): count for status, count in found["statuses"].items()}))
    for label, trouble in found["troubles"].items():
        sums.failed += trouble["count"]
        sums.troubles[label] = trouble["examples"]
    if not sums.total:
        raise SystemExit(path.with_name("output").read_text()[-3000:])
    return sums


def report(name: str, sums: Sums) -> None:
    """Print one phase."""
    print(f"\n{name}: {sums.total - sums.failed} passed, {sums.failed} failed")
    print("  answers: " + " ".join(f"{key}:{sums.statuses[key]}" for key in sorted(sums.statuses)))
    for label, examples in sorted(sums.troubles.items()):
        print(f"  FAILED {label}")
        for example in examples[:3]:
            print(f"      {example}")


def main() -> int:
    """Throw, count, report."""
    parser = ArgumentParser(description=__doc__)
    cloud.add_arguments(parser)
    parser.add_argument("--service", default="identity")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--limit", type=float, default=1800, help="seconds for all of it")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--only", default="", help="regular expression of paths")
    arguments = parser.parse_args()
    cache = environment.cache_folder()
    arguments.programs = environment.installed(cache, "schemathesis", REQUIREMENT)
    began = time.monotonic()
    account = cloud.account_from_arguments(arguments)
    parts = urlsplit(account.identity_url)
    arguments.base_url = f"{parts.scheme}://{parts.netloc}"
    print(f"seed {arguments.seed}")
    url = f"{arguments.base_url}/openapi/{arguments.service}"
    document = cloud.Cloud(account).request("GET", url, expected=(200,)).document()
    with tempfile.TemporaryDirectory(prefix="onestack-fuzz-") as folder:
        path = Path(folder) / "openapi.json"
        path.write_text(json.dumps(document))
        raw = throw_raw(document, arguments, account)
        report("raw", raw)
        left_s = arguments.limit - (time.monotonic() - began)
        cases = max(0, arguments.cases - raw.total)
        generated = throw_generated(path, arguments, account, cases, left_s)
        report("generated", generated)
    # Whatever was thrown, the administrator must still be able to come in.
    cloud.Cloud(account).sign_in()
    total, failed = raw.total + generated.total, raw.failed + generated.failed
    print(f"\n{total - failed} passed, {failed} failed in {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
