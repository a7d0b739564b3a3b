"""Throw bad input at every operation of a running cloud: nothing may break, hang or leak.

    python tests/acceptance/fuzz.py --cloud onestack-admin --cases 20000 --limit 600

Cases and time are shared among all services, or go to the one that --service names. In each, first
everything that is no valid JSON, then what schemathesis makes from the OpenAPI document that
the cloud itself serves.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))

import environment
import fuzz_document
import fuzz_raw
from fuzz_resources import SERVICES
from fuzz_world import World

import cloud

REQUIREMENT = "schemathesis==4.*"
STOP_LIMIT_S = 90


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

    def add(self, others: "Sums") -> None:
        """Sum up."""
        self.statuses += others.statuses
        self.failed += others.failed
        for label, examples in others.troubles.items():
            self.troubles.setdefault(label, []).extend(examples)


@dataclass(frozen=True)
class Share:
    """What a service gets of the cases and of the time."""

    service: str
    cases: int
    limit_s: float


def throw_raw(
    document: cloud.Document, share: Share, arguments: Namespace, account: cloud.Account
) -> Sums:
    """The requests that are no valid JSON, in a mixed order, until a third of the time is up."""
    sums = Sums()
    world = World(account, share.service)
    deadline = time.monotonic() + share.limit_s / 3
    try:
        chosen = list(fuzz_raw.requests(document, world))
        random.Random(arguments.seed).shuffle(chosen)
        for label, raw in chosen[: share.cases // 3]:
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


def throw_generated(path: Path, share: Share, arguments: Namespace, account: cloud.Account) -> Sums:
    """Let schemathesis, in an environment of its own, make the rest: half of the time what covers
    the document, half of it what chance brings."""
    document = json.loads(path.read_text())
    operations = sum(len(item) for item in document["paths"].values())
    sums = Sums()
    began = time.monotonic()
    for phase in ("coverage", "fuzzing"):
        share_s = (share.limit_s - (time.monotonic() - began)) / (2 if phase == "coverage" else 1)
        examples = max(1, (share.cases - sums.total) // operations)
        command = [str(arguments.programs / "st"), "run", str(path)]
        command += ["--url", arguments.base_url, "--phases", phase, "--no-color"]
        command += ["--max-examples", str(examples), "--continue-on-failure"]
        command += ["--checks", "answer_is_sound", "--workers", "2", "--request-timeout", "15"]
        command += ["--suppress-health-check", "all", "--warnings", "off", "--no-shrink"]
        command += ["--seed", str(arguments.seed), "--generation-database", "none"]
        if arguments.only:
            command += ["--include-path-regex", arguments.only]
        variables = {name: value for name, value in os.environ.items() if name[:3] != "OS_"}
        variables |= account.environment() | {
            "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("fuzz_hooks.py")),
            "FUZZ_SEED": str(arguments.seed),
            "FUZZ_DEADLINE": str(time.monotonic() + share_s),
            "FUZZ_SERVICE": share.service,
            "FUZZ_VERSION": json.dumps(fuzz_document.highest_version(document)),
            "FUZZ_RESULT": str(path.with_name(f"{phase}.json")),
        }
        sums.add(_run(command, variables, share_s))
    if not sums.total:
        raise SystemExit(f"{share.service}: the time was up before the first request was ready")
    return sums


def _run(command: Sequence[str], variables: Mapping[str, str], limit_s: float) -> Sums:
    """One run of schemathesis, which stops itself when its time is up."""
    result = Path(variables["FUZZ_RESULT"])
    said = result.with_suffix(".output")
    with said.open("w") as output:
        process = subprocess.Popen(
            command, env=variables, stdout=output, stderr=subprocess.STDOUT, cwd=result.parent
        )
        try:
            process.wait(limit_s + STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            print("what was made could not be removed in time", file=sys.stderr)
            process.kill()
            process.wait()
    if not result.is_file():
        raise SystemExit(said.read_text()[-3000:])
    found = json.loads(result.read_text())
    sums = Sums(Counter({int(status): count for status, count in found["statuses"].items()}))
    for label, trouble in found["troubles"].items():
        sums.failed += trouble["count"]
        sums.troubles[label] = trouble["examples"]
    return sums


def report(name: str, sums: Sums) -> None:
    """Print one phase."""
    print(f"\n{name}: {sums.total - sums.failed} good, {sums.failed} bad")
    print("  answers: " + " ".join(f"{key}:{sums.statuses[key]}" for key in sorted(sums.statuses)))
    for label, examples in sorted(sums.troubles.items()):
        print(f"  FAILED {label}")
        for example in examples[:3]:
            print(f"      {example}")


def shares(services: Sequence[str], documents: Mapping[str, cloud.Document]) -> dict[str, float]:
    """Which part of all each service gets, by how many operations it has: the small ones more."""
    weights = {name: sum(map(len, documents[name]["paths"].values())) ** 0.5 for name in services}
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def main() -> int:
    """Throw, count, report."""
    parser = ArgumentParser(description=__doc__)
    cloud.add_arguments(parser)
    parser.add_argument("--service", choices=SERVICES, help="only this one (default: all)")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--limit", type=float, default=1800, help="seconds for all of it")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--only", default="", help="regular expression of paths")
    arguments = parser.parse_args()
    arguments.programs = environment.installed(
        environment.cache_folder(), "schemathesis", REQUIREMENT
    )
    began = time.monotonic()
    account = cloud.account_from_arguments(arguments)
    parts = urlsplit(account.identity_url)
    arguments.base_url = f"{parts.scheme}://{parts.netloc}"
    print(f"seed {arguments.seed}")
    services = [arguments.service] if arguments.service else list(SERVICES)
    documents = {name: _document(name, arguments, account) for name in services}
    whole = Sums()
    left = 1.0
    for name, part in shares(services, documents).items():
        # What one did not use goes to those after it.
        left_s = arguments.limit - (time.monotonic() - began)
        cases = round((arguments.cases - whole.total) * part / left)
        whole.add(
            fuzz(Share(name, cases, left_s * part / left), documents[name], arguments, account)
        )
        left -= part
    # Whatever was thrown, the administrator must still be able to come in.
    cloud.Cloud(account).sign_in()
    passed = whole.total - whole.failed
    print(f"\n{passed} passed, {whole.failed} failed in {time.monotonic() - began:.0f} s")
    return 1 if whole.failed else 0


def fuzz(
    share: Share, document: cloud.Document, arguments: Namespace, account: cloud.Account
) -> Sums:
    """Everything for one service."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="onestack-fuzz-") as folder:
        path = Path(folder) / "openapi.json"
        path.write_text(json.dumps(fuzz_document.prepared(document, arguments.seed)))
        sums = throw_raw(document, share, arguments, account)
        report(f"{share.service}, raw", sums)
        left_s = share.limit_s - (time.monotonic() - began)
        rest = Share(share.service, share.cases - sums.total, left_s)
        generated = throw_generated(path, rest, arguments, account)
        report(f"{share.service}, generated", generated)
    sums.add(generated)
    return sums


def _document(service: str, arguments: Namespace, account: cloud.Account) -> cloud.Document:
    url = f"{arguments.base_url}/openapi/{service}"
    document: cloud.Document = cloud.Cloud(account).request("GET", url, expected=(200,)).document()
    return document


if __name__ == "__main__":
    sys.exit(main())
