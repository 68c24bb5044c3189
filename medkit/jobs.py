"""Stages side by side, each in a process of its own.

``python -m medkit.jobs run …`` is ``python -m monai.bundle run …`` that says in one line what a user can mend, and that
ends with the process which started it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from medkit.errors import MedkitError, root_cause

if TYPE_CHECKING:
    from medkit.bundle import Stage
    from medkit.runs import Run


def execute(run: Run, announce: Callable[[str], None]) -> None:
    """Run what is not done yet, as many stages at once as the run asks for, each behind those that it follows.

    When one fails, those that run may end, and no other starts; when a repetition fails, others do that need nothing of
    it. Whatever ends this process ends them all. What a stage prints goes to ``logs/STAGE.txt``.

    Raises:
        MedkitError: stages failed.
    """
    waiting = list(run.stages)
    running: list[_Job] = []
    ended: set[str] = set()
    ran: set[str] = set()
    failed: dict[str, str] = {}

    @contextmanager
    def noting_failure(stage: Stage) -> Iterator[None]:
        try:
            yield
        except MedkitError as error:
            failed[stage.name] = str(error)
            announce(f"{run.label(stage)}: failed: {error}")
            kept = run.not_hindered(waiting, failed) if stage.loops else []
            ended.update(s.name for s in (*waiting, stage) if s not in kept)  # nothing waits for what will not come
            waiting[:] = kept

    try:
        while waiting or running:
            for stage in [stage for stage in waiting if run.follows(stage) <= ended]:
                if len(running) == run.request.jobs:
                    break
                if stage not in waiting:  # one that failed to begin took it along
                    continue
                waiting.remove(stage)
                if run.is_done(stage, ran):
                    announce(f"{run.label(stage)}: done before")
                    ended.add(stage.name)
                    continue
                with noting_failure(stage):
                    run.begin(stage)
                    running.append(_Job(run, stage))
                    ran.add(stage.name)
            over = [job for job in running if job.process.poll() is not None]
            for job in over:
                running.remove(job)
                with noting_failure(job.stage):
                    job.require_success()
                    run.end(job.stage)
                    ended.add(job.stage.name)
                    announce(f"{run.label(job.stage)}: {time.monotonic() - job.began:.0f} s")
            if running and not over:
                time.sleep(0.1)
    finally:
        for job in running:
            job.kill()
    if failed:
        raise MedkitError("; ".join(failed.values()))


class _Job:
    """A stage that runs: a process group that lives no longer than the pipe to its standard input."""

    def __init__(self, run: Run, stage: Stage) -> None:
        import torch

        self.stage = stage
        self.began = time.monotonic()
        self.log = run.output_dir / "logs" / f"{stage.name}.txt"
        self.log.parent.mkdir(exist_ok=True)
        threads = max(1, torch.get_num_threads() // run.request.jobs)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", *run.command(stage, "medkit.jobs")[1:]],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"OMP_NUM_THREADS": str(threads), **os.environ, **run.confinement},
                start_new_session=True,
            )

    def require_success(self) -> None:
        """Return when it ended well.

        Raises:
            MedkitError: with the line that it ended with.
        """
        with self.process:  # closes the pipe
            code = self.process.wait()
        if code == 0:
            return
        lines = [line for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        said = [line.removeprefix("medkit: ") for line in lines if line.startswith("medkit: ")] or lines
        reason = f"ended by {signal.Signals(-code).name}" if code < 0 else said[-1] if said else f"exit code {code}"
        raise MedkitError(f'stage "{self.stage.name}": {reason} (all that it printed: {self.log})')

    def kill(self) -> None:
        """End it and the processes that it started, at once."""
        with suppress(ProcessLookupError), self.process:
            os.killpg(self.process.pid, signal.SIGKILL)


def main() -> None:
    """Run one stage; its log ends with one line about whatever went wrong, behind the traceback."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    import fire
    from monai.bundle import run

    from medkit.cli import one_line_errors
    from medkit.runs import construction_error

    with one_line_errors():
        try:
            fire.Fire({"run": run}, name="medkit.jobs")
        except Exception as error:
            traceback.print_exc()
            cause = construction_error(error) or root_cause(error)
            known = isinstance(cause, MedkitError | OSError)
            raise cause if known else MedkitError(f"{type(cause).__name__}: {cause}") from None


def end_with_parent() -> None:
    """Wait for the end of standard input, which the parent never writes to, and end all that was started here."""
    os.read(0, 1)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main()
