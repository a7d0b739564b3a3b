"""Which operations of a reference are implemented, under which policy, and tested, as a table.

    ONESTACK_RECORD_OPERATIONS=recorded.jsonl pytest -q tests
    python tests/operations/coverage.py identity --reference v3.14.yaml --recorded recorded.jsonl

The reference is an OpenAPI document. The record holds one JSON object a line for each request that
the tests made, `{"method": "GET", "route": "/identity/v3/users/{user_id}", "status": 200}`; an
operation is tested when a request to it succeeded (or was told that there is no such method, or no
longer, where that is all that it ever answers); its refusals are shown beside. Where the reference
names a method that a path of ours does not allow, the answer is 405, and the table says so.
"""

import json
import re
import sys
from argparse import ArgumentParser
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

from onestack import main
from onestack.core.api import Service

Document = dict[str, Any]
Key = tuple[str, str]

GONE = frozenset({405, 410})
METHODS = frozenset({"get", "head", "post", "put", "patch", "delete"})


@dataclass(frozen=True)
class Operation:
    """One row of the table."""

    method: str
    path: str
    is_implemented: bool
    is_refused: bool = False  # the path is there, and answers 405 to this method
    policy: str = ""
    statuses: frozenset[int] = field(default_factory=frozenset)

    @property
    def is_tested(self) -> bool:
        """Whether a request to it got what it has to give."""
        return any(status < 400 or status in GONE for status in self.statuses)


def key_of(method: str, path: str, prefix: str = "") -> Key:
    """An operation's identity, whatever its path parameters are called."""
    bare = path.removeprefix(prefix) if prefix else path
    return method.upper(), re.sub(r"\{[^}]*\}", "{}", bare).rstrip("/") or "/"


def keys_of(document: Document, prefix: str = "") -> dict[Key, tuple[str, Document]]:
    """The operations of an OpenAPI document, each with its path and what the document says."""
    found: dict[Key, tuple[str, Document]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                found[key_of(method, path, prefix)] = path, operation
    return found


def said_once(wanted: dict[Key, tuple[str, Document]]) -> dict[Key, tuple[str, Document]]:
    """Without the operations that differ from others only in that their path names a project."""
    return {
        key: each
        for key, each in wanted.items()
        if "/{project_id}/" not in each[0]
        or key_of(key[0], each[0].replace("/{project_id}/", "/", 1)) not in wanted
    }


def rows(
    reference: Document, ours: Document, recorded: Mapping[Key, frozenset[int]], prefix: str
) -> list[Operation]:
    """Every operation of the reference, then those that only we have."""
    wanted = said_once(keys_of(reference))
    declared = keys_of(ours, prefix)
    found: list[Operation] = []
    for key, (path, _) in wanted.items():
        method = key[0]
        # HEAD is answered by the operation that answers GET: asked once, it has its answers.
        own = declared.get(key) or (declared.get(("GET", key[1])) if method == "HEAD" else None)
        policy = str(own[1].get("x-policy") or "") if own else ""
        statuses = recorded.get(key, frozenset())
        if method == "HEAD" and statuses and key not in declared:
            statuses |= recorded.get(("GET", key[1]), frozenset())
        is_refused = own is None and any(other[1] == key[1] for other in declared)
        found.append(Operation(method, path, own is not None, is_refused, policy, statuses))
    for key in declared.keys() - wanted.keys():
        path, operation = declared[key]
        policy = str(operation.get("x-policy") or "")
        statuses = recorded.get(key, frozenset())
        bare = path.removeprefix(prefix)
        found.append(Operation(key[0], bare, True, False, policy, statuses))
    return sorted(found, key=lambda each: (each.path, each.method))


def table(operations: Sequence[Operation]) -> str:
    """The rows in Markdown, with the sums first."""
    implemented = [each for each in operations if each.is_implemented]
    refused = [each for each in operations if each.is_refused]
    tested = [each for each in implemented if each.is_tested]
    lines = [
        f"{len(operations)} operations, {len(implemented)} implemented, {len(tested)} tested, "
        f"{len(refused)} methods not allowed (405), "
        f"{len(operations) - len(implemented) - len(refused)} missing.",
        "",
        "| operation | implemented | policy | tested | answers seen |",
        "|---|---|---|---|---|",
    ]
    for each in operations:
        is_there = "yes" if each.is_implemented else "405" if each.is_refused else "**missing**"
        is_tested = "yes" if each.is_tested else "" if each.is_refused else "**no**"
        policy = f"`{each.policy}`" if each.policy else ""
        seen = " ".join(map(str, sorted(each.statuses)))
        cells = (f"`{each.method} {each.path}`", is_there, policy, is_tested, seen)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def read_recorded(files: Iterable[Path], prefix: str) -> dict[Key, frozenset[int]]:
    """The statuses that each operation answered in recorded runs."""
    found: dict[Key, set[int]] = defaultdict(set)
    for file in files:
        for text in file.read_text().splitlines():
            line = json.loads(text)
            if line["route"].startswith(f"{prefix}/"):
                found[key_of(line["method"], line["route"], prefix)].add(int(line["status"]))
    return {key: frozenset(statuses) for key, statuses in found.items()}


def read_ours(service: str, source: str | None) -> Document:
    """Our own document: from a URL, a file, or of every version as it is declared."""
    if source is None:
        return of_all_versions(main.services()[service])
    if source.startswith(("http://", "https://")):
        with urlopen(source) as answer:  # noqa: S310 - the caller names the cloud, over http
            text = answer.read().decode()
    else:
        text = Path(source).read_text()
    return dict(json.loads(text))


def of_all_versions(service: Service) -> Document:
    """The operations of every microversion, so that those which ended are not taken for missing."""
    served = service.microversions
    if served is None:
        return service.openapi(None)
    ends = {each for operation in service.operations for each in operation.window}
    versions = {served.lowest, served.highest, *ends}
    paths: dict[str, Document] = {}
    for version in sorted(each for each in versions if served.lowest <= each <= served.highest):
        for path, item in service.openapi(str(version))["paths"].items():
            paths.setdefault(path, {}).update(item)
    return {"paths": paths}


def run() -> int:
    """Print the table; the status says whether nothing is missing or untested."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("service", help="identity, compute, ...")
    parser.add_argument("--reference", type=Path, required=True, help="OpenAPI document in YAML")
    parser.add_argument("--ours", help="file or URL (default: this package, in all its versions)")
    parser.add_argument("--recorded", type=Path, nargs="*", default=[])
    parser.add_argument("--prefix", help="path of the service (default: /SERVICE)")
    arguments = parser.parse_args()
    prefix = f"/{arguments.service}" if arguments.prefix is None else arguments.prefix
    reference = yaml.load(arguments.reference.read_text(), Loader=yaml.CSafeLoader)
    ours = read_ours(arguments.service, arguments.ours)
    operations = rows(reference, ours, read_recorded(arguments.recorded, prefix), prefix)
    sys.stdout.write(table(operations))
    is_whole = all(
        each.is_refused or (each.is_implemented and each.is_tested) for each in operations
    )
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(run())
