"""CPU time of ``medkit --help`` over that of importing click and pluggy alone: whole processes, taken in turn."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys


def cpu_seconds(command: list[str]) -> float:
    """Return the user and system time of one run of ``command``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(runs: int = 20) -> None:
    """Print the median ratio of pairs."""
    ours = [sys.executable, "-m", "medkit.cli", "--help"]
    floor = [sys.executable, "-c", "import click, pluggy"]
    pairs = [(cpu_seconds(ours), cpu_seconds(floor)) for _ in range(runs + 1)][1:]
    ratios = [a / b for a, b in pairs]
    print(json.dumps({"ratio": round(statistics.median(ratios), 2), "runs": runs, "goal": 2.0}))


if __name__ == "__main__":
    main()
