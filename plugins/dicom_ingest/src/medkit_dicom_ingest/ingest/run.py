"""A whole run: walk, read, write down, and leave OUTPUT valid whenever it ends."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from medkit.errors import ConfigError, DataError
from medkit.files import sha256, write_json
from medkit.tables import write_csv
from medkit_dicom_ingest.ingest import manifest
from medkit_dicom_ingest.ingest.identity import keyed, read_secret
from medkit_dicom_ingest.ingest.key_file import KeyFile
from medkit_dicom_ingest.ingest.names import hidden
from medkit_dicom_ingest.ingest.one_file import DISK_FULL, IMAGES, QUARANTINE, Outcome, Reader, Task, why_not
from medkit_dicom_ingest.ingest.options import Options
from medkit_dicom_ingest.ingest.state import State
from medkit_dicom_ingest.ingest.walk import OURS, files_below, is_output
from medkit_dicom_ingest.ingest.workers import outcomes

SUMMARY, FAILURES = "ingest.json", "failures.csv"
MANIFESTS = ("manifest.csv", "manifest.parquet")
FORMAT = 1
PATIENT_KEYS = "patient keys"
INTERRUPTED = "interrupted"
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
    require_places(request)
    secret = read_secret(request.secret_file)
    report = Report()
    try:
        with ExitStack() as opened:
            state = State(request.output / OURS, anew=not request.resume)
            opened.callback(state.close)
            opened.callback(state.rollback)
            if not request.resume:
                _remove_made(request.output)
            (request.output / QUARANTINE).mkdir(mode=0o700, exist_ok=True)
            run = _begin(state, request, secret)
            keys = opened.enter_context(KeyFile(request.key_file)) if request.key_file else None
            try:
                _process(request, state, run, secret, keys, progress, report)
            except KeyboardInterrupt:
                report.stopped = INTERRUPTED
            state.commit()
            _finish(request, state, run, secret, report)
            if keys:
                keys.write()
            state.commit()
    except (OSError, sqlite3.OperationalError) as error:
        report.stopped = _why(error)
    return report


def _why(error: OSError | sqlite3.OperationalError) -> str:
    if isinstance(error, OSError):
        return why_not(error)
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return DISK_FULL
    return f"OUTPUT cannot be written to ({error})"


def require_places(request: Request) -> None:
    """Refuse places where something would be lost or told; make OUTPUT.

    Raises:
        ConfigError: OUTPUT holds something else or cannot be written, or a private file would lie in SOURCE or OUTPUT.
        DataError: there is no SOURCE, or medkit ingest has made it.
    """
    source, output = request.source, request.output
    if not source.exists():
        raise DataError(f'"{source}" does not exist: give a file or a folder of medical images')
    made = next((folder for folder in (source, *source.resolve().parents) if is_output(folder)), None)
    if made:
        raise DataError(f'"{made}" was made by medkit ingest: give the folder that it was made from')
    if output.exists() and not output.is_dir():
        raise ConfigError(f'"{output}" is a file: give the path of a folder')
    for option, private, name, folder in (
        ("--key-file", request.key_file, "OUTPUT", output),
        ("--key-file", request.key_file, "SOURCE", source),
        ("--secret-file", request.secret_file, "OUTPUT", output),
    ):
        if private and private.resolve().is_relative_to(folder.resolve()):
            raise ConfigError(f'{option} "{private}" lies in {name}: it is private, give a path elsewhere')
    try:
        output.mkdir(parents=True, exist_ok=True)
        ours = is_output(output)
        if (output / SUMMARY).is_file() and not ours:
            raise ConfigError(f'the record .ingest of "{output}" is gone: give a new folder')
        if not ours and any(not path.name.startswith(".") for path in output.iterdir()):
            raise ConfigError(f'"{output}" is not empty and was not made by medkit ingest: give a new folder')
    except OSError as error:
        raise ConfigError(f'"{output}" cannot be written to: {error.strerror}') from error


def _begin(state: State, request: Request, secret: bytes) -> int:
    """Return this run's number.

    Raises:
        ConfigError: OUTPUT was made with other options.
    """
    now = {**request.options.identity(), PATIENT_KEYS: keyed(secret, "secret")[:8]}
    before = state.note("options")
    now = {name: list(value) if isinstance(value, tuple) else value for name, value in now.items()}
    other = [name for name in now if before is not None and before.get(name) != now[name]]
    if other == [PATIENT_KEYS]:
        raise ConfigError(
            f"{request.output} was made with another secret of the patient keys: name that one with --secret-file, or "
            "take --no-resume to start over"
        )
    if other:
        told = "; ".join(f"{name} {before.get(name)}, now {now[name]}" for name in other)
        raise ConfigError(
            f"{request.output} was made with other options ({told}): take the same, another OUTPUT, or --no-resume to "
            "start over"
        )
    run, sweep = 1 + (state.note("run") or 0), bool(state.note("open") or state.note("sweep"))
    if state.note("versions") != _versions():  # another version may show a file otherwise
        state.forget_contents()
    for name, value in {"options": now, "run": run, "open": True, "sweep": sweep, "versions": _versions()}.items():
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
    state.set_note("walked", run)
    state.commit()
    step = progress(total)
    root = request.source if request.source.is_dir() else request.source.parent
    tasks = (Task(name, root / name, content, known) for name, content, known in state.seen_in(run))
    reader = Reader(request.output, request.options, secret, keys is not None)
    committed = time.monotonic()
    for task, outcome in outcomes(reader, tasks, request.workers, request.seconds, request.memory):
        if outcome.stopped:
            report.stopped = outcome.stopped
            return
        if outcome.status != "unchanged":
            _settle(state, task, outcome)
        if keys and outcome.links:
            keys.add(task.name, outcome)
        report.files[outcome.status] += 1
        step()
        if time.monotonic() - committed > SECONDS_BETWEEN_COMMITS:
            state.commit()
            committed = time.monotonic()


def _settle(state: State, task: Task, outcome: Outcome) -> None:
    """Note an outcome; a worker that died or ran out of time could not say whether the file is another one now."""
    changed = False
    if outcome.code in ("time_limit", "crashed", "memory_limit"):
        state.set_note("sweep", True)
        if not outcome.sha256 and (before := state.sha256_of(task.name)):
            with suppress(OSError):
                changed = sha256(task.path) != before
    state.settle(task.name, outcome, changed)


def _finish(request: Request, state: State, run: int, secret: bytes, report: Report) -> None:
    """Write the manifest, the failures and the summary, and remove what no row stands for."""
    output, kinds = request.output, manifest.columns(request.options)
    table = output / MANIFESTS[request.parquet]
    report.outputs, report.quarantined = state.images(), state.images(QUARANTINE)
    report.causes = state.causes()
    report.failed = state.count("status = 'failed'")
    if state.note("walked") == run:
        report.gone = state.gone(run)
    identifies = functools.cache(state.identifies)
    rows = ({**row, "source": hidden(row["source"], identifies, secret)} for row in state.rows())
    with _private(request.options.identifiers):
        manifest.write_manifest(table, kinds, rows)
    (output / MANIFESTS[not request.parquet]).unlink(missing_ok=True)
    with _private():
        write_csv(output / FAILURES, manifest.FAILURES, state.failures())
    if not report.stopped:
        _remove_left_over(output, state)
    write_json(
        output / SUMMARY,
        {
            "format": FORMAT,
            "complete": not report.stopped,
            "versions": _versions(),
            "options": {**state.note("options"), "allow_burned_in": request.options.allow_burned_in},
            "manifest": {"file": table.name, "sha256": sha256(table), "columns": list(kinds)},
            "images": {"released": report.outputs - report.quarantined, "quarantined": report.quarantined},
            "files": {
                "done": state.count("status = 'done'"),
                "without_image": {f"{status} {code}": count for status, code, count in sorted(report.causes)},
            },
        },
    )


def _remove_left_over(output: Path, state: State) -> None:
    """Remove images that no row stands for: of changed files, and what a killed run or worker has left behind."""
    for name in state.left_over():
        (output / name).unlink(missing_ok=True)
    if state.note("sweep"):
        for path in _images(output):
            if not state.stands(path.relative_to(output).as_posix()):
                path.unlink(missing_ok=True)
    state.forget_left_over()
    state.set_note("sweep", False)
    state.set_note("open", False)


def _remove_made(output: Path) -> None:
    for path in [*(output / name for name in (*MANIFESTS, SUMMARY, FAILURES)), *_images(output)]:
        path.unlink(missing_ok=True)


def _images(output: Path) -> Iterator[Path]:
    """Yield the images that were made in OUTPUT, half-written ones included; files of other names are not ours."""
    for folder in (IMAGES, QUARANTINE):
        yield from (path for path in (output / folder).glob("*/*") if IMAGE_NAME.fullmatch(path.name))


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("medkit", "medkit-dicom-ingest")}


@contextmanager
def _private(needed: bool = True) -> Iterator[None]:
    """Let only the owner open what is written meanwhile."""
    before = os.umask(0o077) if needed else None
    try:
        yield
    finally:
        if before is not None:
            os.umask(before)


def default_workers() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
