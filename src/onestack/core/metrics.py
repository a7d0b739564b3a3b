"""Metrics for Prometheus."""

from functools import cache
from typing import Any

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@cache
def _requests() -> Any:
    from prometheus_client import Histogram

    return Histogram(
        "onestack_request_seconds",
        "Time taken to answer a request.",
        ("service", "route", "status"),
        buckets=BUCKETS_S,
    )


@cache
def _request(service: str, route: str, status: int) -> Any:
    return _requests().labels(service, route, str(status))


def request(service: str, route: str, status: int, elapsed_s: float) -> None:
    """Count one answered request."""
    _request(service, route, status).observe(elapsed_s)


def exposition() -> bytes:
    """Everything counted, in Prometheus' text format."""
    from prometheus_client import generate_latest

    _requests()
    return generate_latest()
