"""A trial's process: ``python -m medkit_tuning.trial_process run …`` is ``medkit run …`` that ends with its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from medkit.cli import main as medkit
from medkit.jobs import end_with_parent

GRACE = 10.0
"""Seconds that a trial has to end by itself."""


class TrialProcess:
    """A process group that lives no longer than the pipe to its standard input.

    Args:
        command: what it runs.
        log: where all that it prints goes.
        threads: of each process, unless the environment says how many.
    """

    def __init__(self, command: Sequence[str], log: Path, threads: int) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={"OMP_NUM_THREADS": str(threads), **os.environ},
                start_new_session=True,
            )

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self.process.poll() is not None

    def why_failed(self) -> str:
        """Return why it ended badly, or an empty string where it ended well."""
        code = self.process.wait()
        if code == 0:
            return ""
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        said = [line.removeprefix("medkit: ") for line in lines if line.startswith("medkit: ")] or lines
        return f"ended by {signal.Signals(-code).name}" if code < 0 else said[-1] if said else f"exit code {code}"

    def interrupt(self) -> None:
        """Ask it to end."""
        self.process.terminate()

    def end(self) -> None:
        """Wait until it has ended, but not for long; then nothing that it started is left."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        with suppress(ProcessLookupError), self.process:  # closes the pipe and waits
            os.killpg(self.process.pid, signal.SIGKILL)


def main() -> None:
    """Run medkit; asked to end, it ends as if interrupted, and leaves no half-written file."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=end_with_parent, daemon=True).start()
    medkit()


if __name__ == "__main__":
    main()
