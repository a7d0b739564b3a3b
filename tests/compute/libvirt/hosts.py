"""Hosts for tests: a network namespace each, with an agent in it, and a cable between them."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from onestack.compute import Hypervisor
from onestack.core.contract import contract
from tests.compute.libvirt.agent import Answer

ROOT = Path(__file__).resolve().parents[3]
CALL_S = 120.0
MARK = "testcloud"


class CallFailed(Exception):
    """What the agent said went wrong."""


def command(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout


def until(condition: Callable[[], object], timeout_s: float, what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {timeout_s} s"
        time.sleep(0.05)


class Host:
    """One host: `call` asks its agent, which may be killed and started again."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.netns = f"lvt-{name}-{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix=f"lvt-{name}-", dir="/tmp"))
        self._numbers = itertools.count(1)
        self._waiting: dict[int, SimpleQueue[Answer]] = {}
        command("ip", "netns", "add", self.netns)
        self.run("ip", "link", "set", "lo", "up")
        self._start()

    def run(self, *words: str) -> str:
        """Run a program in the host's network."""
        return command("ip", "netns", "exec", self.netns, *words)

    def inside(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.netns, *words]

    def call(self, method: str, **arguments: Any) -> Any:
        number = next(self._numbers)
        queue: SimpleQueue[Answer] = SimpleQueue()
        self._waiting[number] = queue
        packed = msgspec.json.encode({"number": number, "method": method, "arguments": arguments})
        assert self.process.stdin is not None
        self.process.stdin.write(packed + b"\n")
        self.process.stdin.flush()
        answer = queue.get(timeout=CALL_S)
        if answer.error is not None:
            raise CallFailed(answer.error)
        if method in ("remove_all", "take_down"):
            return None
        return contract(Hypervisor).method(method).decode(bytes(answer.result))

    def kill(self) -> None:
        """The agent dies at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self._start()

    def processes(self, program: str) -> list[int]:
        """The processes of a program in this host's network."""
        found = command("ip", "netns", "pids", self.netns).split()
        return [int(pid) for pid in found if program in _name(pid)]

    def remove(self) -> None:
        if self.process.poll() is not None:
            self._start()
        try:
            self.call("remove_all")
        finally:
            self.kill()
            for pid in self.processes(""):
                os.kill(pid, signal.SIGKILL)
            command("ip", "netns", "delete", self.netns)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        words = [
            sys.executable, "-m", "tests.compute.libvirt.agent",
            str(self.folder), self.name, MARK, self.address,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            self.inside(*words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(b'{"number"'):
                answer = msgspec.json.decode(line, type=Answer)
                self._waiting.pop(answer.number).put(answer)


def join(one: Host, other: Host) -> None:
    """A cable between two hosts, with the hosts' addresses."""
    a, b = f"{one.name}-{os.getpid()}", f"{other.name}-{os.getpid()}"
    command(
        "ip", "link", "add", a, "netns", one.netns, "type", "veth", "peer", b, "netns", other.netns
    )
    for host, link in ((one, a), (other, b)):
        host.run("ip", "address", "add", f"{host.address}/24", "dev", link)
        host.run("ip", "link", "set", link, "up")


def _name(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except FileNotFoundError:
        return ""
