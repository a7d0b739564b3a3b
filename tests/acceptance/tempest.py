"""Run Tempest against a cloud and say what passed, failed and was skipped, and why.

    python tests/acceptance/tempest.py --cloud onestack-admin --regex tempest.api.identity

Lockout and password history are tested only where the cloud has them on. Let it lock a user for a
few seconds after two wrong passwords and refuse the last two passwords, and nothing is skipped.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "bench"))
sys.path.append(str(Path(__file__).resolve().parents[2]))

import environment
import tempest_servers
import tempest_settings
import tempest_world

import cloud
from tests.servers import install

REQUIREMENT = "tempest==47.*"
FAILURE_LINES = 12


@dataclass(frozen=True)
class Outcome:
    """How one test, or the preparation of a class of tests, ended."""

    id: str
    status: str
    reason: str

    @property
    def service(self) -> str:
        """`identity` of `tempest.api.identity.v3...`; the kind of test where it has no service."""
        found = re.search(r"tempest\.(?:api\.)?(\w+)", self.id)
        return found[1] if found else "other"

    @property
    def name(self) -> str:
        """The id without what every line would repeat."""
        return re.sub(r"\[.*?\]", "", self.id).removeprefix("tempest.")


@contextmanager
def prepared(programs: Path, folder: Path, home: Path, arguments: Namespace) -> Iterator[None]:
    """A workspace whose settings describe the cloud, and what tests want to find in that."""
    signed_in = cloud.Cloud(cloud.account_from_arguments(arguments))
    signed_in.sign_in()
    settings = tempest_settings.discover(signed_in)
    for change in arguments.set:
        name, _, value = change.partition("=")
        section, _, option = name.rpartition(".")
        settings.setdefault(section, {})[option] = value
    _run([str(programs / "tempest"), "init", str(folder)], home, arguments.limit)
    if "image_ref" in settings.get("compute", {}):
        settings["scenario"] |= tempest_servers.image_file(
            signed_in, settings["compute"]["image_ref"], folder / "image"
        )
    with tempest_world.made(signed_in, settings):
        path = tempest_settings.write(settings, folder)
        print(f"settings: {path}", file=sys.stderr)
        yield


def listed(programs: Path, folder: Path, arguments: Namespace) -> list[str]:
    """The tests that the expression chooses."""
    command = [str(programs / "tempest"), "run", "--list-tests", "--regex", arguments.regex]
    output = _run(command, folder, arguments.limit).stdout
    return [line for line in output.splitlines() if line.startswith("tempest.")]


def run(programs: Path, folder: Path, arguments: Namespace) -> list[Outcome]:
    """Run the tests, showing them as they end; what became of each."""
    command = [str(programs / "tempest"), "run", "--regex", arguments.regex]
    command += ["--concurrency", str(arguments.concurrency)]
    # The status says that tests failed, which the outcomes below say better.
    subprocess.run(command, cwd=folder, timeout=arguments.limit, check=False)
    stream = subprocess.run(
        [str(programs / "stestr"), "last", "--subunit"],
        cwd=folder,
        capture_output=True,
        check=False,
    ).stdout
    reader = [str(programs / "python"), str(Path(__file__).with_name("subunit_lines.py"))]
    lines = subprocess.run(reader, input=stream, capture_output=True, check=True).stdout
    return [_outcome(json.loads(line)) for line in lines.splitlines()]


def report(outcomes: Sequence[Outcome], expected: Sequence[str]) -> bool:
    """Print the tables; whether every test was accounted for and none failed."""
    ended = [each for each in outcomes if not _is_preparation(each)]
    failed = [each for each in outcomes if each.status == "fail"]
    skipped = [each for each in outcomes if each.status == "skip"]
    missing = sorted(set(expected) - {each.id for each in ended})
    print("\n| service | passed | failed | skipped | not run |\n|---|--:|--:|--:|--:|")
    counts = {status: Counter(each.service for each in ended if each.status == status)
              for status in ("success", "fail", "skip")}  # fmt: skip
    lost = Counter(Outcome(each, "", "").service for each in missing)
    for service in sorted(set().union(*counts.values(), lost)):
        cells = [counts[status][service] for status in ("success", "fail", "skip")]
        print(f"| {service} | " + " | ".join(map(str, [*cells, lost[service]])) + " |")
    totals = [counts[status].total() for status in ("success", "fail", "skip")]
    print("| all | " + " | ".join(map(str, [*totals, len(missing)])) + " |")
    if skipped:
        print("\nSkipped:")
    for each in skipped:
        print(f"  {each.name}: {each.reason}")
    if missing:
        print("\nNot run, because what their class needs was skipped or failed:")
    for name in missing:
        print(f"  {Outcome(name, '', '').name}")
    for each in failed:
        print(f"\nFAILED {each.name}\n    " + each.reason.replace("\n", "\n    "))
    is_skip_explained = all(_class_of(name) in {_class_of(each.id) for each in skipped}
                            for name in missing)  # fmt: skip
    return bool(ended) and not failed and is_skip_explained


def main() -> int:
    """Install, configure, run, report."""
    parser = ArgumentParser(description=__doc__)
    cloud.add_arguments(parser)
    parser.add_argument("--regex", default="tempest.api.identity")
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=environment.cache_folder())
    parser.add_argument("--limit", type=float, default=3600, help="seconds for the whole run")
    parser.add_argument("--keep", type=Path, help="folder to keep settings, log and results in")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.OPTION=VALUE",
        help="a setting that wins over what was found out",
    )  # fmt: skip
    arguments = parser.parse_args()
    programs = environment.installed(arguments.cache, "tempest-47", REQUIREMENT)
    if shutil.which("ping") is None:  # Tempest looks whether servers answer it
        install.install(["iputils-ping"])
    parent = Path(tempfile.mkdtemp(prefix="onestack-tempest-"))
    folder = arguments.keep or parent / "workspace"
    try:
        with prepared(programs, folder.resolve(), parent, arguments):
            expected = listed(programs, folder, arguments)
            outcomes = run(programs, folder, arguments)
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    return 0 if report(outcomes, expected) else 1


def _outcome(line: dict[str, object]) -> Outcome:
    status = str(line["status"])
    details = line["details"] if isinstance(line["details"], dict) else {}
    reason = str(details.get("reason", ""))
    if status == "fail":
        text = "\n".join(value for name, value in details.items() if "traceback" in name)
        reason = "\n".join(text.strip().splitlines()[-FAILURE_LINES:])
    return Outcome(str(line["id"]), {"uxsuccess": "fail", "xfail": "skip"}.get(status, status),
                   reason)  # fmt: skip


def _is_preparation(outcome: Outcome) -> bool:
    return outcome.id.startswith(("setUpClass", "tearDownClass"))


def _class_of(name: str) -> str:
    """The class of a test, or of `setUpClass (CLASS)`."""
    inside = re.search(r"\((.*)\)", name)
    return inside[1] if inside else re.sub(r"\[.*", "", name).rpartition(".")[0]


def _run(command: list[str], folder: Path, limit_s: float) -> subprocess.CompletedProcess[str]:
    # Tempest notes its workspaces in the home folder, where nothing of ours should stay.
    variables = os.environ | {"HOME": str(folder)}
    return subprocess.run(
        command,
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=True,
    )


if __name__ == "__main__":
    sys.exit(main())
