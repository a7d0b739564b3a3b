"""Metrics: how often and how fast requests are answered, in the text format that Prometheus reads.

The format is a page of text, and counting is on the path of every request: so it is written here,
where it costs a microsecond.
"""

import resource
from bisect import bisect_left
from pathlib import Path

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
REQUESTS = "onestack_request_seconds"

Labels = tuple[str, str, int]  # service, route, status


class Series:
    """How many requests of one kind took how long."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0


_requests: dict[Labels, Series] = {}
_traces_dropped = 0


def request(service: str, route: str, status: int, elapsed_s: float) -> None:
    """Count one answered request; the event loop alone calls this."""
    labels = (service, route, status)
    series = _requests.get(labels)
    if series is None:
        series = _requests[labels] = Series()
    series.counts[bisect_left(BUCKETS_S, elapsed_s)] += 1
    series.sum_s += elapsed_s


def series_count() -> int:
    """How many kinds of requests are told apart."""
    return len(_requests)


def traces_dropped(count: int) -> None:
    """Count traces that no collector took."""
    global _traces_dropped  # noqa: PLW0603 - a counter of this process
    _traces_dropped += count


def exposition() -> bytes:
    """Everything counted, in Prometheus' text format."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lines = [
        "# HELP process_cpu_seconds_total Processor time that this process used.",
        "# TYPE process_cpu_seconds_total counter",
        f"process_cpu_seconds_total {usage.ru_utime + usage.ru_stime}",
        "# HELP process_resident_memory_bytes Memory that this process holds.",
        "# TYPE process_resident_memory_bytes gauge",
        f"process_resident_memory_bytes {_resident_bytes()}",
        "# HELP onestack_traces_dropped_total Traces that no collector took.",
        "# TYPE onestack_traces_dropped_total counter",
        f"onestack_traces_dropped_total {_traces_dropped}",
        f"# HELP {REQUESTS} Time taken to answer a request.",
        f"# TYPE {REQUESTS} histogram",
    ]
    for labels, series in sorted(_requests.items()):
        lines += _histogram(labels, series)
    return ("\n".join(lines) + "\n").encode()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _histogram(labels: Labels, series: Series) -> list[str]:
    service, route, status = labels
    common = f'service="{service}",route="{_escaped(route)}",status="{status}"'
    lines = []
    total = 0
    for bound, count in zip((*BUCKETS_S, "+Inf"), series.counts, strict=True):
        total += count
        lines.append(f'{REQUESTS}_bucket{{{common},le="{bound}"}} {total}')
    lines.append(f"{REQUESTS}_count{{{common}}} {total}")
    lines.append(f"{REQUESTS}_sum{{{common}}} {series.sum_s}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
