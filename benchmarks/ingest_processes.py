"""`medkit ingest` as a process whose every child is counted, for the benchmarks."""

from __future__ import annotations

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of processor time (user and system, this process and its ended children) and of the clock."""

    cpu: float
    wall: float

    @classmethod
    def now(cls) -> Cost:
        ours, ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return cls(ours.ru_utime + ours.ru_stime + ended.ru_utime + ended.ru_stime, time.monotonic())

    @classmethod
    def median(cls, costs: Sequence[Cost]) -> Cost:
        return cls(statistics.median(cost.cpu for cost in costs), statistics.median(cost.wall for cost in costs))

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.cpu - other.cpu, self.wall - other.wall)

    def __truediv__(self, number: float) -> Cost:
        return Cost(self.cpu / number, self.wall / number)

    def milliseconds(self) -> dict[str, float]:
        return {"cpu_ms": round(1000 * self.cpu, 2), "wall_ms": round(1000 * self.wall, 2)}


def adopt_orphans() -> None:
    """Become the parent of what children leave behind, so that workers are waited for and their time is counted."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ingest_command(source: Path, output: Path, workers: int, secret: Path) -> list[str]:
    ours = [sys.executable, "-m", "medkit.cli", "ingest", str(source), str(output), "--quiet"]
    return [*ours, "--workers", str(workers), "--secret-file", str(secret)]


def run(command: list[str]) -> Cost:
    """Run a command and wait for all of its processes; the wall time ends with the command itself."""
    before = Cost.now()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, said = process.communicate()
    wall = time.monotonic() - before.wall
    await_orphans()
    if process.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}: {said.decode(errors='replace')}")
    return Cost((Cost.now() - before).cpu, wall)


def await_orphans() -> None:
    """Wait for every adopted process."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return
