"""What the tests of `medkit ingest` share."""

from __future__ import annotations

from pathlib import Path

from medkit_dicom_ingest.ingest.options import Options
from medkit_dicom_ingest.ingest.run import Report, Request, ingest

from medkit.tables import read_csv

GIB = 2**30
RUNNING = ("workers", "seconds", "memory", "resume", "parquet", "secret_file", "key_file")


def request(source: Path, output: Path, **chosen) -> Request:
    """Return a request with one worker, and a secret beside OUTPUT; options of rendering and running by name."""
    running = {"workers": 1, "seconds": 60.0, "memory": 4 * GIB, "secret_file": output.parent / ".secret"}
    running |= {name: chosen.pop(name) for name in RUNNING if name in chosen}
    return Request(source, output, Options(**chosen), **running)


def run(source: Path, output: Path, **chosen) -> Report:
    """Ingest, without a progress bar."""
    return ingest(request(source, output, **chosen), lambda total: lambda: None)


def rows(output: Path, table: str = "manifest.csv") -> list[dict[str, str]]:
    """Return the rows of a table in OUTPUT."""
    return read_csv(output / table)
