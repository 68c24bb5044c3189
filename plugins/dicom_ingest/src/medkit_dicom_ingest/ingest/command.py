"""`medkit ingest`: arguments in, text and exit codes out."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from medkit.errors import ConfigError
from medkit_dicom_ingest.dicom.contrast import Voi
from medkit_dicom_ingest.failure import CODES
from medkit_dicom_ingest.ingest.options import PLANES, Options
from medkit_dicom_ingest.ingest.run import FAILURES, INTERRUPTED, Report, Request, default_workers
from medkit_dicom_ingest.ingest.run import ingest as run_ingest

NOTHING_DONE, SOME_FAILED = 2, 3
GIB = 2**30


def _size(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    columns, by, rows = text.lower().partition("x")
    if by and columns.isdecimal() and rows.isdecimal() and 0 < int(columns) <= 65535 and 0 < int(rows) <= 65535:
        return int(rows), int(columns)
    raise click.BadParameter(f'"{text}" is not WIDTHxHEIGHT, such as 512x512, each 1 to 65535', context, option)


def _place(context: click.Context, option: click.Parameter, text: str) -> Path:
    if not text:
        raise click.BadParameter("is empty: give a path", context, option)
    return Path(text).expanduser().absolute()


def _finite(context: click.Context, option: click.Parameter, number: float) -> float:
    if not math.isfinite(number):
        raise click.BadParameter(f"{number} is not a finite number", context, option)
    return number


@click.command(epilog="Exit codes: 0 done, 3 some files failed or stopped early, 2 nothing done, 130 interrupted.")
@click.argument("source", callback=_place)
@click.argument("output", callback=_place)
@click.option("--bits", type=click.Choice(["8", "16"]), default="8", show_default=True, help="Of the PNG files.")
@click.option("--longest-side", type=click.IntRange(1, 65535), help="Reduce larger images to this many pixels.")
@click.option("--size", callback=_size, metavar="WxH", help="Stretch every image to this size.")
@click.option(
    "--voi",
    default="auto",
    show_default=True,
    help="Contrast: auto, full, minmax, lut[:N], window[:N], or CENTER/WIDTH[/LINEAR_EXACT|/SIGMOID].",
)
@click.option("--plane", type=click.Choice(PLANES), default="axial", show_default=True, help="How volumes are cut.")
@click.option("--grey", is_flag=True, help="Write colour images as grey.")
@click.option(
    "--manifest",
    "table",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="How the manifest is written.",
)
@click.option("--keep-uids", is_flag=True, help="Keep study, series and SOP instance UIDs in the manifest.")
@click.option("--keep-identifiers", is_flag=True, help="Keep names, ids and dates in the manifest.")
@click.option("--key-file", type=click.Path(path_type=Path), help="Write what links images to patients here; private.")
@click.option("--secret-file", type=click.Path(path_type=Path), help="Secret of the patient keys; made if absent.")
@click.option("--allow-burned-in", is_flag=True, help="Do not set images aside that may show text.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core]")
@click.option(
    "--time-limit",
    type=click.FloatRange(0.1),
    default=120.0,
    show_default=True,
    callback=_finite,
    help="Seconds a file.",
)
@click.option(
    "--memory-limit", type=click.FloatRange(0.1), default=4.0, show_default=True, callback=_finite, help="GiB a file."
)
@click.option("--resume/--no-resume", default=True, show_default=True, help="Go on with OUTPUT, or start it over.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def ingest(source: Path, output: Path, **given: Any) -> None:
    """Turn DICOM files, bitmaps and volumes into PNG images and a manifest.

    SOURCE is a file or a folder at any depth; nothing in it is changed. OUTPUT gets images/, manifest.csv, failures.csv
    and ingest.json. Run again, it does what is new or has changed, and what a killed run has left.

    What identifies a patient stays behind, and images that may show text (secondary captures, ultrasound, overlays,
    BurnedInAnnotation other than NO) go to quarantine/.
    """
    if given["longest_side"] and given["size"]:
        raise ConfigError("--longest-side and --size are both given: take one")
    Voi.parse(given["voi"])
    options = Options(
        bits=int(given["bits"]),
        longest_side=given["longest_side"],
        size=given["size"],
        voi=given["voi"],
        plane=given["plane"],
        grey=given["grey"],
        uids=given["keep_uids"],
        identifiers=given["keep_identifiers"],
        allow_burned_in=given["allow_burned_in"],
    )
    request = Request(
        source,
        output,
        options,
        workers=given["workers"] or default_workers(),
        seconds=given["time_limit"],
        memory=int(given["memory_limit"] * GIB),
        resume=given["resume"],
        parquet=given["table"] == "parquet",
        secret_file=given["secret_file"],
        key_file=given["key_file"],
    )
    bars: list[tqdm[Any]] = []

    tqdm.set_lock(threading.RLock())  # its own is shared between processes, and a kill would leave it behind

    def progress(total: int) -> Callable[[], None]:
        bars.append(tqdm(total=total, unit="file", disable=True if given["quiet"] else None))
        return bars[0].update

    try:
        report = run_ingest(request, progress)
    finally:
        for bar in bars:
            bar.close()
    for line in lines(report, output):
        click.echo(line)
    raise SystemExit(exit_code(report))


def lines(report: Report, output: Path) -> list[str]:
    """Return what the user reads at the end."""
    files = report.files
    told = [
        f"{files['done']} files read, {files['unchanged']} done before, {files['skipped']} skipped, "
        f"{files['failed']} failed: {report.outputs} images in {output}"
    ]
    if report.quarantined:
        told.append(
            f"{report.quarantined} of them in {output / 'quarantine'}, for they may show text: look at them, then "
            "--allow-burned-in"
        )
    told += [f"  {status:<8} {count:>7}  {code}: {CODES[code]}" for status, code, count in report.causes]
    if report.causes:
        told.append(f"each is in {output / FAILURES}")
    if report.gone:
        told.append(f"{report.gone} files of earlier runs are no longer in SOURCE: their images are kept")
    if report.stopped:
        told.append(f"stopped early, {report.stopped}: the same command goes on from here")
    return told


def exit_code(report: Report) -> int:
    """Return 130 interrupted, 2 nothing done, 3 some failed, 0 done."""
    if report.stopped == INTERRUPTED:
        return 130
    if not report.outputs:
        return NOTHING_DONE
    return SOME_FAILED if report.failed or report.stopped else 0
