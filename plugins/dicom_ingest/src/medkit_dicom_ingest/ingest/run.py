"""A whole run: walk, read, write down, and leave OUTPUT valid whenever it ends."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from medkit.errors import ConfigError, DataError
from medkit.files import sha256, write_json
from medkit.tables import write_csv
from medkit_dicom_ingest.ingest import manifest
from medkit_dicom_ingest.ingest.identity import keyed, read_secret
from medkit_dicom_ingest.ingest.key_file import KeyFile
from medkit_dicom_ingest.ingest.one_file import IMAGES, NO_SPACE, QUARANTINE, Outcome, Reader, Task
from medkit_dicom_ingest.ingest.options import Options
from medkit_dicom_ingest.ingest.state import State
from medkit_dicom_ingest.ingest.walk import OURS, files_below
from medkit_dicom_ingest.ingest.workers import outcomes

SUMMARY, FAILURES = "ingest.json", "failures.csv"
MANIFESTS = ("manifest.csv", "manifest.parquet")
FORMAT = 1
INTERRUPTED, DISK_FULL = "interrupted", "the disk is full"
SECONDS_BETWEEN_COMMITS = 1.0
IMAGE_NAME = re.compile(r"\.?[0-9a-f]{64}(_\d{5,})?\.png(\..*)?")


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for.

    Attributes:
        source: a file, or a folder of files at any depth.
        output: the folder that is written to.
        options: how images are rendered and what the manifest keeps.
        workers: processes.
        seconds: that one file may take.
        memory: bytes that reading one file may take.
        resume: go on with what OUTPUT holds; else start over.
        parquet: write manifest.parquet instead of manifest.csv.
        secret_file: of the patient keys; None for the user's own.
        key_file: where the way back to the patients is written; None for nowhere.
    """

    source: Path
    output: Path
    options: Options
    workers: int
    seconds: float
    memory: int
    resume: bool = True
    parquet: bool = False
    secret_file: Path | None = None
    key_file: Path | None = None


@dataclass(slots=True)
class Report:
    """What a run did.

    Attributes:
        files: status → files of this run.
        outputs: images in the manifest, of all runs.
        quarantined: of those, set aside for likely burnt-in text.
        failed: files of all runs that have failed.
        causes: (status, code, files) of what gave no image.
        gone: files of earlier runs that SOURCE no longer holds; their images are kept.
        stopped: why the run ended early, ``""`` where it did not.
    """

    files: Counter[str] = field(default_factory=Counter)
    outputs: int = 0
    quarantined: int = 0
    failed: int = 0
    causes: list[tuple[str, str, int]] = field(default_factory=list)
    gone: int = 0
    stopped: str = ""


def ingest(request: Request, progress: Callable[[int], Callable[[], None]]) -> Report:
    """Bring OUTPUT to what SOURCE holds.

    Args:
        request: what is asked for.
        progress: called with the number of files, gives what is called after each.

    Raises:
        ConfigError: OUTPUT is somebody else's, or was made with other options.
        DataError: SOURCE cannot be read.
    """
    if request.parquet:
        manifest.require_parquet()
    secret = read_secret(request.secret_file)
    prepare(request)
    report = Report()
    with ExitStack() as opened:
        state = State(request.output / OURS)
        opened.callback(state.close)
        run = _begin(state, request, secret)
        keys = opened.enter_context(KeyFile(request.key_file)) if request.key_file else None
        try:
            try:
                _process(request, state, run, secret, keys, progress, report)
            except KeyboardInterrupt:
                report.stopped = INTERRUPTED
            state.commit()
            _finish(request, state, run, report)
            if keys:
                keys.write()
        except (OSError, sqlite3.OperationalError) as error:
            if not disk_is_full(error):
                raise
            state.rollback()
            report.stopped = DISK_FULL
    return report


def disk_is_full(error: Exception) -> bool:
    """Return whether the operating system or SQLite says so."""
    if isinstance(error, OSError):
        return error.errno in NO_SPACE
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def prepare(request: Request) -> None:
    """Make OUTPUT ready, without touching what is not ours.

    Raises:
        ConfigError: it holds something else, or lies where it cannot be written.
        DataError: there is no SOURCE.
    """
    if not request.source.exists():
        raise DataError(f'"{request.source}" does not exist: give a file or a folder of medical images')
    output = request.output
    try:
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()) and not (output / OURS).is_file():
            raise ConfigError(f'"{output}" is not empty and was not made by medkit ingest: give a new folder')
        if not request.resume:
            for name in (".ingest", IMAGES, QUARANTINE):
                shutil.rmtree(output / name, ignore_errors=True)
            for name in (*MANIFESTS, SUMMARY, FAILURES):
                (output / name).unlink(missing_ok=True)
        (output / QUARANTINE).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ConfigError(f'"{output}" cannot be written to: {error.strerror}') from error


def _begin(state: State, request: Request, secret: bytes) -> int:
    """Return this run's number.

    Raises:
        ConfigError: OUTPUT was made with other options.
    """
    now = {**request.options.identity(), "patient keys": keyed(secret, "secret")[:8]}
    before = state.note("options")
    now = {name: list(value) if isinstance(value, tuple) else value for name, value in now.items()}
    other = [name for name in now if before is not None and before.get(name) != now[name]]
    if other:
        told = "; ".join(f"{name} {before.get(name)}, now {now[name]}" for name in other)
        raise ConfigError(
            f"{request.output} was made with other options ({told}): take the same, another OUTPUT, or --no-resume to "
            "start over"
        )
    run = 1 + (state.note("run") or 0)
    interrupted = bool(state.note("open"))
    for name, value in (("options", now), ("run", run), ("open", True), ("sweep", interrupted)):
        state.set_note(name, value)
    state.commit()
    return run


def _process(
    request: Request,
    state: State,
    run: int,
    secret: bytes,
    keys: KeyFile | None,
    progress: Callable[[int], Callable[[], None]],
    report: Report,
) -> None:
    total = 0
    for name in files_below(request.source):
        state.see(name, run)
        total += 1
    state.commit()
    step = progress(total)
    root = request.source if request.source.is_dir() else request.source.parent
    tasks = (
        Task(name, root / name, digest, tuple((row["output"], row["output_sha256"]) for row in rows))
        for name, digest, rows in state.seen_in(run)
    )
    reader = Reader(request.output, request.options, secret, keys is not None)
    committed = time.monotonic()
    for task, outcome in outcomes(reader, tasks, request.workers, request.seconds, request.memory):
        if outcome.disk_full:
            report.stopped = DISK_FULL
            return
        _settle(request, state, task, outcome)
        if keys and outcome.links:
            keys.add(task.name, outcome)
        report.files[outcome.status] += 1
        step()
        if time.monotonic() - committed > SECONDS_BETWEEN_COMMITS:
            state.commit()
            committed = time.monotonic()


def _settle(request: Request, state: State, task: Task, outcome: Outcome) -> None:
    if outcome.status == "unchanged":
        return
    if outcome.code in ("time_limit", "crashed", "memory_limit"):
        state.set_note("sweep", True)
    for output in state.settle(task.name, outcome):
        (request.output / output).unlink(missing_ok=True)


def _finish(request: Request, state: State, run: int, report: Report) -> None:
    """Write the manifest, the failures and the summary, and remove what no row stands for."""
    output, kinds = request.output, manifest.columns(request.options)
    table = output / MANIFESTS[request.parquet]
    report.outputs, report.quarantined = state.images(), state.images(QUARANTINE)
    report.causes = state.causes()
    report.failed = state.count("status = 'failed'")
    report.gone = state.count("seen != ? AND rows != '[]'", run)
    manifest.write_manifest(table, kinds, state.rows())
    (output / MANIFESTS[not request.parquet]).unlink(missing_ok=True)
    write_csv(output / FAILURES, manifest.FAILURES, state.failures())
    (output / FAILURES).chmod(0o600)
    if not report.stopped:
        if state.note("sweep"):
            _sweep(output, state)
        state.set_note("sweep", False)
        state.set_note("open", False)
    write_json(
        output / SUMMARY,
        {
            "format": FORMAT,
            "complete": not report.stopped,
            "versions": {name: importlib.metadata.version(name) for name in ("medkit", "medkit-dicom-ingest")},
            "options": state.note("options"),
            "manifest": {"file": table.name, "sha256": sha256(table), "columns": list(kinds)},
            "images": {"released": report.outputs - report.quarantined, "quarantined": report.quarantined},
            "files": {
                "done": state.count("status = 'done'"),
                "without_image": {f"{status} {code}": count for status, code, count in sorted(report.causes)},
            },
        },
    )


def _sweep(output: Path, state: State) -> None:
    """Remove images that a killed run or worker has left behind; files of other names stay."""
    for folder in (IMAGES, QUARANTINE):
        for path in (output / folder).glob("*/*"):
            name = path.relative_to(output).as_posix()
            if IMAGE_NAME.fullmatch(path.name) and not state.stands(name):
                path.unlink(missing_ok=True)


def default_workers() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
