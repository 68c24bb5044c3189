"""Processes that read files and may die: decoders are given hostile bytes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, TimeoutError, wait
from pathlib import Path

import cv2
from pebble import ProcessExpired, ProcessFuture, ProcessPool

from medkit_dicom_ingest.ingest.one_file import Outcome, Reader, Task

WAITING = 4
"""Tasks that wait for a worker, for each worker."""
_reader: Reader


def outcomes(
    reader: Reader, tasks: Iterable[Task], workers: int, seconds: float, memory: int
) -> Iterator[tuple[Task, Outcome]]:
    """Yield what became of each file, in the order in which they end.

    A worker that dies or takes too long costs its own file alone; another takes its place. A few tasks are in memory at
    once, however many there are.

    Args:
        reader: what every worker does.
        tasks: the files.
        workers: processes.
        seconds: that one file may take.
        memory: bytes that a worker may have beyond what it starts with.
    """
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
    if sys.platform != "win32":
        context.set_forkserver_preload([__name__])
    coming = iter(tasks)
    with ProcessPool(workers, context=context, initializer=_begin, initargs=(reader, memory)) as pool:
        running: dict[ProcessFuture, Task] = {}
        try:
            while True:
                while len(running) < WAITING * workers and (task := next(coming, None)) is not None:
                    running[pool.schedule(_read, args=(task,), timeout=seconds)] = task
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), _outcome(future, seconds)
        finally:
            pool.stop()


def _outcome(future: ProcessFuture, seconds: float) -> Outcome:
    try:
        outcome: Outcome = future.result()
        return outcome
    except TimeoutError:
        return Outcome("failed", code="time_limit", reason=f"took longer than {seconds:g} s (--time-limit)")
    except ProcessExpired as error:
        how = f"signal {-error.exitcode}" if error.exitcode < 0 else f"exit code {error.exitcode}"
        return Outcome("failed", code="crashed", reason=f"ended the process that read it ({how})")


def _begin(reader: Reader, memory: int) -> None:
    """Make a worker ready: one thread, a limit to its memory, and no life without its parent."""
    global _reader
    _reader = reader
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _limit_memory(memory)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _limit_memory(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    try:
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):  # macOS has no /proc, and refuses
        return


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _read(task: Task) -> Outcome:
    try:
        return _reader(task)
    except RecursionError:
        return Outcome("failed", code="corrupt", reason="nested too deep to be an image's")
    except Exception as error:  # a defect of ours must not cost the other files
        return Outcome("failed", code="crashed", reason=f"unexpected {type(error).__name__}: please report it")
