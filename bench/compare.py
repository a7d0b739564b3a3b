"""Print figures beside those of real OpenStack, as a Markdown table."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parent / "reference" / "openstack-2026.2.json"

Line = dict[str, Any]


def table(lines: Sequence[Line], reference: Line) -> str:
    """Both tables: figures under load, and single values."""
    parts = [f"Beside {reference['name']}: {reference['conditions']}", ""]
    loads = [line for line in lines if "concurrency" in line]
    if loads:
        parts += [*_figures(loads, reference["figures"]), ""]
    values = [line for line in lines if "value" in line]
    if values:
        parts += [*_values(values, reference["values"]), ""]
    return "\n".join(parts)


def read(files: Iterable[Path]) -> list[Line]:
    """The lines of result files; the last line of a name wins."""
    found: dict[str, Line] = {}
    for file in files:
        for text in file.read_text().splitlines():
            if text.strip():
                line = json.loads(text)
                found[line["name"]] = line
    return list(found.values())


def _figures(lines: Sequence[Line], reference: dict[str, Line]) -> list[str]:
    """Per core is 1000 / CPU ms: what one busy core of the server answers in a second."""
    rows = [
        "| figure | p50 ms | p99 ms | requests/s | CPU ms | real: p50 ms | p99 ms | requests/s"
        " | CPU ms | throughput | throughput per core | errors |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for line in lines:
        real = reference.get(line["name"], {})
        keys = ("p50_ms", "p99_ms", "requests_per_s", "cpu_ms")
        cells = [line["name"]]
        cells += [_number(line.get(key)) for key in keys]
        cells += [_number(real.get(key)) for key in keys]
        cells.append(_ratio(line.get("requests_per_s"), real.get("requests_per_s")))
        cells.append(_ratio(real.get("cpu_ms"), line.get("cpu_ms")))
        cells.append(str(line.get("errors", "")))
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _values(lines: Sequence[Line], reference: dict[str, Line]) -> list[str]:
    rows = ["| figure | here | real OpenStack | ratio | note |", "|---|--:|--:|--:|---|"]
    for line in lines:
        real = reference.get(line["name"], {})
        unit = line.get("unit", "")
        cells = [
            line["name"],
            f"{_number(line['value'])} {unit}".strip(),
            f"{_number(real.get('value'))} {unit}".strip() if real else "",
            _ratio(real.get("value"), line["value"]),
            real.get("note", ""),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _ratio(greater: float | None, smaller: float | None) -> str:
    if greater is None or not smaller:
        return ""
    return f"{greater / smaller:.1f}x"


def main() -> int:
    """Print the table for result files."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="files of JSON lines")
    parser.add_argument("--reference", type=Path, default=REFERENCE)
    arguments = parser.parse_args()
    print(table(read(arguments.results), json.loads(arguments.reference.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
