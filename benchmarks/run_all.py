"""Run every benchmark here and print one JSON object: name → figures. Ratios are taken in one run, on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

NOT_RUN = ("run_all", "ingest_processes", "synthetic_dx")
"""What the others share, and this."""


def main() -> None:
    """Run the scripts beside this one in turn; a failing one is named and the others go on."""
    figures = {}
    for script in sorted(Path(__file__).parent.glob("*.py")):
        if script.stem in NOT_RUN:
            continue
        print(f"{script.stem} …", file=sys.stderr)
        done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True, check=False)
        figures[script.stem] = json.loads(done.stdout) if done.returncode == 0 else f"failed with {done.returncode}"
    print(json.dumps(figures, indent=2))
    sys.exit(any(isinstance(value, str) for value in figures.values()))


if __name__ == "__main__":
    main()
