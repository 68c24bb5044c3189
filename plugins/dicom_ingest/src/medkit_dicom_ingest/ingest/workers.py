"""Processes that read files and may die: decoders are given hostile bytes.

A pool of the standard library ends with its first dead process, and pools that replace it have to guess which task it
had. Here each worker has a pipe of its own, so the parent knows.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TypeVar

import cv2

from medkit_dicom_ingest.ingest.one_file import Outcome

T = TypeVar("T")
SECONDS_TO_START = 120.0
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 2**28
"""Bytes that a worker holds on to between two files."""


def outcomes(
    reader: Callable[[T], Outcome], tasks: Iterable[T], workers: int, seconds: float, memory: int
) -> Iterator[tuple[T, Outcome]]:
    """Yield what became of each task, in the order in which they end.

    A worker that dies or takes too long costs its own task alone; another takes its place. A task whose worker dies is
    tried once more in a new one: memory that an earlier task has damaged can kill a worker later.

    Args:
        reader: what every worker does with a task; both can be pickled.
        tasks: the files; drawn one by one, as workers become free.
        workers: processes.
        seconds: that one task may take.
        memory: bytes that one task may take.

    Raises:
        RuntimeError: a worker does not even start.
    """
    coming, again, crew = iter(tasks), deque[T](), list[_Worker]()
    try:
        crew += [_Worker(reader, memory) for _ in range(workers)]
        while True:
            for number, worker in enumerate(crew):
                if worker.gone:
                    crew[number] = worker = _Worker(reader, memory)
                if not worker.busy:
                    second = bool(again)
                    task = again.popleft() if again else next(coming, None)
                    if task is not None:
                        worker.take(task, second, seconds)
            busy = {worker.pipe: worker for worker in crew if worker.busy}
            if not busy:
                return
            patience = min(worker.deadline for worker in busy.values()) - time.monotonic()
            for pipe in wait(list(busy), timeout=max(patience, 0)) or list(busy):
                worker = busy[pipe]
                ended = worker.answer(seconds)
                if ended is None:
                    continue
                if worker.died and not worker.second:
                    again.append(ended[0])
                else:
                    yield ended
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """One process, its pipe, and the one task that it is at."""

    def __init__(self, reader: Callable[[T], Outcome], memory: int) -> None:
        context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "forkserver")
        if sys.platform != "win32":
            context.set_forkserver_preload([__name__])
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, reader, memory), daemon=True)
        with _deaf_to_interrupts():
            self.process.start()
        theirs.close()
        self.task: object = None
        self.busy = self.second = self.died = self.gone = False
        self.deadline = 0.0
        if not self.pipe.poll(SECONDS_TO_START):
            raise RuntimeError("a worker process does not start")
        try:
            self.pipe.recv()
        except EOFError as error:
            raise RuntimeError("a worker process does not start") from error

    def take(self, task: T, second: bool, seconds: float) -> None:
        self.task, self.second, self.busy, self.deadline = task, second, True, time.monotonic() + seconds
        with suppress(OSError):  # it is dead: the answer says so
            self.pipe.send(task)

    def answer(self, seconds: float) -> tuple[T, Outcome] | None:
        """Return the task and what became of it, None where there is still time."""
        if self.pipe.poll():
            try:
                outcome = self.pipe.recv()
            except Exception:  # EOFError, or half an answer
                self.end()
                self.died = True
                code = self.process.exitcode or 0
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                outcome = Outcome("failed", code="crashed", reason=f"ended the process that read it ({how})")
        elif time.monotonic() < self.deadline:
            return None
        else:
            self.process.kill()
            self.end()
            outcome = Outcome("failed", code="time_limit", reason=f"took longer than {seconds:g} s (--time-limit)")
        self.busy = False
        return self.task, outcome

    def end(self) -> None:
        self.gone = True
        self.pipe.close()
        self.process.join(1)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let what is started meanwhile ignore Ctrl-C, which a terminal sends to all: this process alone decides."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection, reader: Callable[[T], Outcome], memory: int) -> None:
    """Answer one task after the other until the pipe is closed."""
    _begin()
    pipe.send("ready")
    with suppress(EOFError, OSError):
        while True:
            task = pipe.recv()
            _limit_memory(memory)
            pipe.send(_read(reader, task))


def _begin() -> None:
    """Make a worker ready: one thread, and no life without its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _keep_memory()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _keep_memory() -> None:
    """Let glibc keep what a file has used for the next one: giving it back takes a third of the time of a raw image."""
    with suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 2**25)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def _limit_memory(memory: int) -> None:
    """Let the process take ``memory`` bytes more than it has: libraries loaded for an earlier file do not count."""
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


def _read(reader: Callable[[T], Outcome], task: T) -> Outcome:
    try:
        return reader(task)
    except RecursionError:
        return Outcome("failed", code="corrupt", reason="nested too deep to be an image's")
    except MemoryError:
        return Outcome("failed", code="memory_limit", reason="needs more memory than --memory-limit allows")
    except cv2.error as error:
        code = "memory_limit" if error.code == cv2.Error.StsNoMem else "crashed"
        return Outcome("failed", code=code, reason=f"OpenCV: {' '.join(str(error.err).split())[:120]}")
    except Exception as error:  # a defect of ours must not cost the other files
        return Outcome("failed", code="crashed", reason=f"unexpected {type(error).__name__}: please report it")
