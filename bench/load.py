"""Apply load over HTTP and say how long the answers took and what they cost the server."""

import asyncio
import json
import os
import shutil
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import processes

WRK_SCRIPT = """
wrk.method = {method}
wrk.body = {body}
{headers}
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nRESULT {{"p50_ms": %.4f, "p99_ms": %.4f, "requests_per_s": %.4f,'
    .. ' "count": %d, "errors": %d}}\\n', latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, summary.requests * 1e6 / summary.duration,
    summary.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Request:
    """One request, to be sent again and again."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encoded(self) -> bytes:
        """The request as it goes over the wire."""
        parts = urlsplit(self.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(frozen=True)
class Sample:
    """One run."""

    p50_ms: float
    p99_ms: float
    requests_per_s: float
    count: int
    errors: int
    cpu_ms: float | None = None
    other_cores: float | None = None


@dataclass(frozen=True)
class Figure:
    """The medians of several runs under one name."""

    name: str
    concurrency: int
    runs: Sequence[Sample]

    def line(self) -> dict[str, Any]:
        """What goes into the results, one JSON object a line."""
        answered = [run for run in self.runs if run.count] or list(self.runs)
        shown: dict[str, Any] = {"name": self.name, "concurrency": self.concurrency}
        for key in ("p50_ms", "p99_ms", "requests_per_s", "cpu_ms"):
            values = [getattr(run, key) for run in answered]
            if None not in values:
                shown[key] = round(statistics.median(values), 3)
        shown["count"] = sum(run.count for run in self.runs)
        shown["errors"] = sum(run.errors for run in self.runs)
        shown["other_cores"] = [run.other_cores for run in self.runs]
        return shown


class Meter:
    """The CPU time that the server and everybody else use between two moments."""

    def __init__(self, roots: Sequence[int]) -> None:
        self.roots = roots
        self._start = self._now()

    def finish(self, count: int) -> tuple[float | None, float | None]:
        """CPU ms of the server per request, and cores that neither it nor the load used."""
        if not self.roots:
            return None, None
        wall, machine, server, own = (
            after - before for after, before in zip(self._now(), self._start, strict=True)
        )
        others = max(0.0, machine - server - own) / wall
        return (round(server * 1000 / count, 4) if count else None), round(others, 2)

    def _now(self) -> tuple[float, float, float, float]:
        used = os.times()
        own = used.user + used.system + used.children_user + used.children_system
        machine = processes.machine_cpu_s()
        return time.perf_counter(), machine, processes.cpu_s(self.roots), own


def apply(request: Request, concurrency: int, seconds: float, roots: Sequence[int]) -> Sample:
    """Keep `concurrency` requests under way for some seconds; by wrk where it is installed."""
    meter = Meter(roots)
    if shutil.which("wrk"):
        sample = _by_wrk(request, concurrency, seconds)
    else:
        sample = asyncio.run(closed_loop(request, concurrency, seconds))
    cpu_ms, others = meter.finish(sample.count)
    return Sample(
        sample.p50_ms,
        sample.p99_ms,
        sample.requests_per_s,
        sample.count,
        sample.errors,
        cpu_ms,
        others,
    )


async def closed_loop(request: Request, concurrency: int, seconds: float) -> Sample:
    """Clients that each send the next request when the last one is answered."""
    tally = Tally()
    deadline = time.perf_counter() + seconds

    async def client() -> None:
        async with Connection(request.url) as connection:
            while time.perf_counter() < deadline:
                await tally.count(connection.exchange(request.encoded()), time.perf_counter())

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return tally.sample(time.perf_counter() - started)


async def paced(request: Request, interval_s: float, until: Callable[[], bool]) -> Sample:
    """One request every interval, each timed from the moment when it was due.

    A server that stalls delays the requests behind the slow one too, and that is counted.
    """
    tally = Tally()
    started = time.perf_counter()
    due = started
    async with Connection(request.url) as connection:
        while not until():
            due += interval_s
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await tally.count(connection.exchange(request.encoded()), due)
    return tally.sample(time.perf_counter() - started)


class Tally:
    """Times and errors of one run."""

    def __init__(self) -> None:
        self.times_ms: list[float] = []
        self.errors = 0

    async def count(self, exchange: Awaitable[int], began: float) -> None:
        """Wait for one answer and note it."""
        try:
            status = await exchange
        except (OSError, EOFError, ssl.SSLError):
            self.errors += 1
            # A server that refuses connections must not turn the load into a busy loop.
            await asyncio.sleep(0.01)
            return
        self.errors += status >= 400
        self.times_ms.append((time.perf_counter() - began) * 1000)

    def sample(self, wall_s: float) -> Sample:
        """The run in figures."""
        ordered = sorted(self.times_ms)
        count = len(ordered)
        if not count:
            return Sample(0, 0, 0, 0, self.errors)
        p99 = ordered[min(count - 1, int(count * 0.99))]
        return Sample(ordered[count // 2], p99, count / wall_s, count, self.errors)


class Connection:
    """A kept HTTP/1.1 connection that is opened again when the server closes it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if self._is_tls else 80)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._close()

    async def exchange(self, content: bytes) -> int:
        """Send a request, read the whole answer, say its status."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._host, self._port, ssl=_unverified() if self._is_tls else None
            )
        self._writer.write(content)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            status = int(head[9:12])
            is_kept = await self._skip_body(self._reader, head.lower(), status)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            self._close()
            raise EOFError(str(error)) from error
        if not is_kept:
            self._close()
        return status

    async def _skip_body(self, reader: asyncio.StreamReader, head: bytes, status: int) -> bool:
        """Read the body away; whether the connection can be used again."""
        if b"\r\ncontent-length:" in head:
            start = head.index(b"\r\ncontent-length:") + 17
            await reader.readexactly(int(head[start : head.index(b"\r\n", start)]))
        elif b"\r\ntransfer-encoding: chunked" in head:
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        elif status not in {204, 304}:
            await reader.read()
            return False
        return b"\r\nconnection: close" not in head and not head.startswith(b"http/1.0")

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def _by_wrk(request: Request, concurrency: int, seconds: float) -> Sample:
    headers = "\n".join(
        f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}"
        for name, value in request.headers.items()
    )
    body = f"[==[{request.body.decode()}]==]" if request.body else "nil"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            WRK_SCRIPT.format(method=json.dumps(request.method), body=body, headers=headers)
        )
        script.flush()
        command = ["wrk", "-t1", f"-c{concurrency}", f"-d{max(1, round(seconds))}s"]
        command += ["--timeout", "60s", "-s", script.name, request.url]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 90, check=True
        )
    return Sample(**json.loads(done.stdout.split("RESULT ")[1]))


def _unverified() -> ssl.SSLContext:
    """Load needs no proof of who answers, and the cloud's certificate may be its own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
