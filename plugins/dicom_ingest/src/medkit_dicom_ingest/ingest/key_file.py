"""The way back from an image to its patient: a table that stays in the hospital."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType

from medkit.errors import ConfigError
from medkit.tables import read_csv, write_csv
from medkit_dicom_ingest.ingest.identity import LINKS
from medkit_dicom_ingest.ingest.manifest import COLUMN_OF
from medkit_dicom_ingest.ingest.one_file import Outcome

COLUMNS = ("source", "source_sha256", *(COLUMN_OF[keyword] for keyword in LINKS))


def _is_key_file(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().decode("utf-8", "replace").rstrip("\r\n") == ",".join(COLUMNS)


class KeyFile:
    """Rows that link a source file to accession number, study and patient, in a CSV file that only its owner can read.

    What the file held before is kept, and replaced where a source is read again. Rows are collected on disk.

    Args:
        path: of the CSV file.

    Raises:
        ConfigError: it cannot be written, or is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            raise ConfigError(f'key file "{path}" is a folder: give the path of a CSV file')
        if path.exists() and not _is_key_file(path):
            raise ConfigError(f'"{path}" exists and is no key file: give another path')
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            os.close(handle)
            if path.exists():
                path.chmod(0o600)
        except OSError as error:
            raise ConfigError(f'key file "{path}" cannot be written: {error.strerror}') from error
        self._rows = Path(name)
        self._db = sqlite3.connect(name, isolation_level=None)
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("BEGIN")
        self._db.execute(f"CREATE TABLE links ({', '.join(COLUMNS)}, PRIMARY KEY (source)) WITHOUT ROWID")
        for row in read_csv(path):
            self._put([row.get(column, "") for column in COLUMNS])

    def __enter__(self) -> KeyFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._db.close()
        self._rows.unlink(missing_ok=True)

    def add(self, name: str, outcome: Outcome) -> None:
        """Add what leads back from the file ``name``."""
        self._put([name, outcome.sha256, *(outcome.links[keyword] for keyword in LINKS)])

    def write(self) -> None:
        """Write the CSV file whole."""
        before = os.umask(0o077)
        try:
            write_csv(self.path, COLUMNS, self._sorted())
        finally:
            os.umask(before)

    def _put(self, values: list[str]) -> None:
        texts = [value.encode("utf-8", "surrogateescape") for value in values]
        self._db.execute(f"REPLACE INTO links VALUES ({', '.join('?' * len(COLUMNS))})", texts)

    def _sorted(self) -> Iterator[dict[str, str]]:
        with closing(self._db.execute("SELECT * FROM links ORDER BY source")) as found:
            for row in found:
                yield dict(zip(COLUMNS, (value.decode("utf-8", "surrogateescape") for value in row), strict=True))
