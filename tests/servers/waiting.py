"""Waiting for what happens soon, and not longer than it takes."""

import time
from collections.abc import Callable


def soon(check: Callable[[], object], timeout_s: float = 60) -> bool:
    """Whether `check` comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
