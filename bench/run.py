"""All figures of a cloud, written down and printed beside those of real OpenStack.

Without --cloud and without OS_AUTH_URL, a cloud of its own is started, measured and thrown away.
"""

import json
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cloud
import compare
import identity
import image
import processes
import startup

RESULTS = Path(__file__).parent / "results"


def of_named_cloud(arguments: Namespace) -> Iterator[dict[str, Any]]:
    """The figures of a cloud that runs already."""
    signed_in = cloud.Cloud(cloud.account_from_arguments(arguments))
    signed_in.sign_in()
    roots = processes.roots_of(arguments.pids)
    length = identity.Length(arguments.seconds, arguments.runs)
    yield from identity.figures(identity.requests_of(signed_in), length, roots)
    yield from of_images(signed_in, length, roots)


def of_own_cloud(arguments: Namespace) -> Iterator[dict[str, Any]]:
    """The figures of a new cloud, and of starting it."""
    length = identity.Length(arguments.seconds, arguments.runs)
    yield from startup.figures(arguments.command, arguments.runs)
    with startup.EphemeralCloud(arguments.command) as started:
        requests = identity.requests_of(started.signed_in)
        yield from identity.figures(requests, length, [started.pid])
        yield from of_images(started.signed_in, length, [started.pid])


def of_images(
    signed_in: cloud.Cloud, length: identity.Length, roots: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """The figures of images, where the cloud has any."""
    if signed_in.endpoint("image"):
        with image.Images(signed_in) as images:
            yield from image.figures(images, str(signed_in.token), length, roots)


def main() -> int:
    """Measure, write, print."""
    parser = ArgumentParser(description=__doc__)
    cloud.add_arguments(parser)
    parser.add_argument("--command", default=startup.default_command())
    parser.add_argument("--seconds", type=float, default=6, help="length of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--pids", nargs="*", default=[], help="processes of a named cloud")
    arguments = parser.parse_args()
    is_named = arguments.cloud or os.environ.get("OS_CLOUD") or os.environ.get("OS_AUTH_URL")
    measured = of_named_cloud(arguments) if is_named else of_own_cloud(arguments)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / time.strftime("identity-%Y%m%dT%H%M%S.jsonl")
    with file.open("w") as output:
        for line in measured:
            output.write(json.dumps(line) + "\n")
            output.flush()
            print(line["name"], file=sys.stderr)
    reference = json.loads(compare.REFERENCE.read_text())
    print(compare.table(compare.read([file]), reference))
    print(f"written to {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
