"""What processes cost: CPU time and memory, with all their descendants, from /proc."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """Memory of a set of processes; a page that several share counts once."""

    processes: int
    pss_mb: float


def roots_of(words: Iterable[str]) -> list[int]:
    """Process ids from numbers, pid files and folders of pid files."""
    found: list[int] = []
    for word in words:
        if word.isdigit():
            found.append(int(word))
            continue
        path = Path(word)
        files = sorted(path.glob("*.pid")) if path.is_dir() else [path]
        found += [int(file.read_text()) for file in files]
    return found


def members(roots: Iterable[int]) -> set[int]:
    """The roots that live, with their sessions and their descendants."""
    children: dict[int, list[int]] = {}
    leaders: dict[int, list[int]] = {}
    alive: set[int] = set()
    for pid, fields in _statistics():
        alive.add(pid)
        children.setdefault(int(fields[1]), []).append(pid)
        leaders.setdefault(int(fields[3]), []).append(pid)
    found: set[int] = set()
    waiting = [pid for root in roots for pid in [root, *leaders.get(root, [])]]
    while waiting:
        pid = waiting.pop()
        if pid in alive and pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """CPU time that the processes used so far; children that ended count with their parent."""
    wanted = members(roots)
    ticks = 0
    for pid, fields in _statistics():
        if pid in wanted:
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS_PER_S


def machine_cpu_s() -> float:
    """CPU time that the whole machine used so far."""
    with Path("/proc/stat").open() as file:
        fields = [int(word) for word in file.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / TICKS_PER_S


def memory(roots: Iterable[int]) -> Memory:
    """Proportional memory of the processes."""
    pids = members(roots)
    total_kb = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total_kb += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return Memory(len(pids), round(total_kb / 1024, 1))


def _statistics() -> Iterator[tuple[int, list[str]]]:
    """Each process's /proc/PID/stat after the name: state, parent, group, session, ..."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path(f"/proc/{entry}/stat").read_text()
        except OSError:
            continue
        yield int(entry), text.rsplit(")", 1)[1].split()
