"""How soon a new cloud gives its first token, and what it takes while idle."""

import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloud
import processes

START_LIMIT_S = 30
STOP_LIMIT_S = 15
SETTLE_S = 2
IDLE_S = 10


class NotStarted(Exception):
    """The cloud gave no token in time; the message ends with what it said."""


class EphemeralCloud:
    """A cloud of its own on a free port; gone when the block ends."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._folder = Path(tempfile.mkdtemp(prefix="onestack-bench-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.first_token_s = 0.0
        self.signed_in: cloud.Cloud

    @property
    def pid(self) -> int:
        """The leader of all processes of the cloud."""
        if self._process is None:
            raise NotStarted("not started")
        return self._process.pid

    def __enter__(self) -> "EphemeralCloud":
        data = self._folder / "data"
        command = [self._command, "up", "--ephemeral", "--foreground", "-o", "json"]
        command += ["--port", str(free_port()), "--data", str(data)]
        began = time.monotonic()
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self.signed_in = self._first_token(data / "admin-openrc", began)
        except BaseException:
            self.__exit__()
            raise
        self.first_token_s = time.monotonic() - began
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _first_token(self, openrc: Path, began: float) -> cloud.Cloud:
        while time.monotonic() - began < START_LIMIT_S:
            if self._process is not None and self._process.poll() is not None:
                raise NotStarted(self._said())
            # Until the file is complete and the port answers, each of these may fail.
            with contextlib.suppress(OSError, cloud.NoCloud, cloud.Refused):
                signed_in = cloud.Cloud(cloud.account_from_openrc(openrc))
                signed_in.sign_in()
                return signed_in
            time.sleep(0.005)
        raise NotStarted(self._said())

    def _said(self) -> str:
        text = (self._folder / "output").read_text(errors="replace")
        return f"{self._command} gave no token; it said: ...{text[-1500:]}"


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def default_command() -> str:
    """The onestack beside this interpreter, or the one on PATH."""
    beside = Path(sys.executable).with_name("onestack")
    return str(beside) if beside.exists() else "onestack"


def figures(command: str, runs: int) -> Iterator[dict[str, Any]]:
    """Start several clouds one after another and measure each."""
    tokens: list[float] = []
    memories: list[float] = []
    counts: list[float] = []
    idles: list[float] = []
    for _ in range(runs):
        with EphemeralCloud(command) as started:
            tokens.append(started.first_token_s)
            time.sleep(SETTLE_S)
            memory = processes.memory([started.pid])
            memories.append(memory.pss_mb)
            counts.append(memory.processes)
            before = processes.cpu_s([started.pid])
            time.sleep(IDLE_S)
            idles.append((processes.cpu_s([started.pid]) - before) * 100 / IDLE_S)
    yield value("startup_first_token", tokens, "s")
    yield value("startup_memory", memories, "MiB")
    yield value("startup_processes", counts, "")
    yield value("startup_idle_cpu", idles, "%")


def value(name: str, measured: list[float], unit: str) -> dict[str, Any]:
    """One line of the results: the median, and every run."""
    return {
        "name": name,
        "value": round(statistics.median(measured), 3),
        "unit": unit,
        "runs": [round(each, 3) for each in measured],
    }


def main() -> int:
    """Measure starting up; one JSON object a line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--command", default=default_command(), help="the onestack to start")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    for line in figures(arguments.command, arguments.runs):
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
