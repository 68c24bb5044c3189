"""What has become of every file so far, on disk: a run that is killed goes on from here."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from medkit.errors import ConfigError
from medkit_dicom_ingest.ingest.one_file import KNOWN, Outcome

PAGE = 64
_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
  name BLOB PRIMARY KEY, position BLOB, seen INTEGER,
  status TEXT DEFAULT '', sha256 TEXT DEFAULT '', content TEXT DEFAULT '', code TEXT DEFAULT '', reason TEXT DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_position ON files (position);
CREATE TABLE IF NOT EXISTS images (
  name BLOB, frame INTEGER, output TEXT, row TEXT, PRIMARY KEY (name, frame)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_output ON images (output);
CREATE TABLE IF NOT EXISTS left_over (output TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identifying (part BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_TABLES = ("notes", "files", "images", "left_over", "identifying")


class State:
    """A table of files in SQLite, in natural order of their names (``2.dcm`` before ``10.dcm``), and one of images.

    Only its owner can read it: names of folders may hold identifiers. One process at a time writes it.

    Args:
        path: of the database; made where there is none.
        anew: forget everything.

    Raises:
        ConfigError: another run is writing it, or it is damaged.
    """

    def __init__(self, path: Path, anew: bool = False) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._open(path)
            if anew:
                for table in _TABLES:
                    self._db.execute(f"DELETE FROM {table}")
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" not in str(error):
                raise
            raise ConfigError("another medkit ingest is writing to this OUTPUT: wait for it to end") from error
        except sqlite3.DatabaseError as error:
            self._db.close()
            if not anew:
                raise ConfigError(f"{path} is damaged ({error}): --no-resume starts over") from error
            for damaged in path.parent.glob(f"{path.name}*"):
                damaged.unlink()
            self._open(path)

    def _open(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1)
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._db.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Write what is outstanding and let go of the file."""
        with closing(self._db):
            if self._db.in_transaction:
                self._db.execute("COMMIT")

    def commit(self) -> None:
        """Make everything up to here outlive a kill."""
        self._db.execute("COMMIT")
        self._db.execute("BEGIN IMMEDIATE")

    def rollback(self) -> None:
        """Forget what came after the last commit."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def note(self, name: str) -> Any:
        """Return what was noted under ``name``, None where nothing was."""
        found = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return json.loads(found[0]) if found else None

    def set_note(self, name: str, value: Any) -> None:
        """Note a JSON-able value."""
        self._db.execute("REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value, sort_keys=True)))

    def see(self, name: str, run: int) -> None:
        """Note that SOURCE holds a file in this run."""
        self._db.execute(
            "INSERT INTO files (name, position, seen) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET seen = ?",
            (os.fsencode(name), position(name), run, run),
        )

    def seen_in(self, run: int) -> Iterator[tuple[str, str, tuple[tuple[str, ...], ...]]]:
        """Yield (name, content or ``""``, `KNOWN` columns) of a run's files, in order; tables may change meanwhile."""
        last = b""
        while True:
            page = self._db.execute(
                "SELECT position, name, status, content FROM files WHERE position > ? AND seen = ? ORDER BY position "
                "LIMIT ?",
                (last, run, PAGE),
            ).fetchall()
            if not page:
                return
            last = page[-1][0]
            for _, name, status, content in page:
                done = status == "done"
                known = tuple(tuple(row[key] for key in KNOWN) for row in self._rows_of(name)) if done else ()
                yield os.fsdecode(name), content if done else "", known

    def forget_contents(self) -> None:
        """Have every file read anew; what was made of it stays until then."""
        self._db.execute("UPDATE files SET content = ''")

    def sha256_of(self, name: str) -> str:
        """Return the SHA-256 of a file as it was read last, ``""`` where it was not."""
        found: str = self._db.execute("SELECT sha256 FROM files WHERE name = ?", (os.fsencode(name),)).fetchone()[0]
        return found

    def settle(self, name: str, outcome: Outcome, changed: bool) -> None:
        """Note what became of a file.

        Args:
            name: the file's.
            outcome: what a worker found.
            changed: its content is not that of its images. A file that could not be read keeps them otherwise.
        """
        key = os.fsencode(name)
        fact = (outcome.status, outcome.code, outcome.reason, key)
        self._db.execute("UPDATE files SET status = ?, code = ?, reason = ? WHERE name = ?", fact)
        if not outcome.sha256 and not changed:
            return
        hashes = (outcome.sha256, outcome.content, key)
        self._db.execute("UPDATE files SET sha256 = ?, content = ? WHERE name = ?", hashes)
        self._db.execute("INSERT OR IGNORE INTO left_over SELECT output FROM images WHERE name = ?", (key,))
        self._db.execute("DELETE FROM images WHERE name = ?", (key,))
        self._db.executemany(
            "INSERT INTO images VALUES (?, ?, ?, ?)",
            ((key, frame, row["output"], json.dumps(row)) for frame, row in enumerate(outcome.rows)),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO identifying VALUES (?)", ((os.fsencode(part),) for part in outcome.identifying)
        )

    def left_over(self) -> Iterator[str]:
        """Yield the outputs that a row once stood for and none does now."""
        for (output,) in self._db.execute("SELECT output FROM left_over ORDER BY output").fetchall():
            if not self.stands(output):
                yield output

    def forget_left_over(self) -> None:
        """Note that they are gone."""
        self._db.execute("DELETE FROM left_over")

    def stands(self, output: str) -> bool:
        """Return whether a row is of ``output`` (a path below OUTPUT)."""
        return self._db.execute("SELECT 1 FROM images WHERE output = ? LIMIT 1", (output,)).fetchone() is not None

    def identifies(self, part: str) -> bool:
        """Return whether a file or folder of this name holds an identifier of some image below it."""
        return self._db.execute("SELECT 1 FROM identifying WHERE part = ?", (os.fsencode(part),)).fetchone() is not None

    def count(self, where: str = "1", *values: Any) -> int:
        """Return how many files meet a condition."""
        number: int = self._db.execute(f"SELECT count(*) FROM files WHERE {where}", values).fetchone()[0]
        return number

    def gone(self, run: int) -> int:
        """Return how many files with images SOURCE does not hold in this run."""
        return self.count("seen != ? AND name IN (SELECT name FROM images)", run)

    def images(self, folder: str = "") -> int:
        """Return how many images there are, in all or in ``folder`` of OUTPUT."""
        number: int = self._db.execute("SELECT count(*) FROM images WHERE output GLOB ?", (f"{folder}*",)).fetchone()[0]
        return number

    def causes(self) -> list[tuple[str, str, int]]:
        """Return (status, code, how many) of what gave no image, the most frequent first."""
        return self._db.execute(
            "SELECT status, code, count(*) FROM files WHERE code != '' GROUP BY 1, 2 ORDER BY 3 DESC, 2"
        ).fetchall()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the manifest's rows in order, each with its file's name as ``source``."""
        found = self._db.execute("SELECT name, row FROM images JOIN files USING (name) ORDER BY position, frame")
        for name, row in found:
            yield {**json.loads(row), "source": os.fsdecode(name)}

    def failures(self) -> Iterator[dict[str, str]]:
        """Yield the rows of failures.csv in order."""
        found = self._db.execute(
            "SELECT name, sha256, status, code, reason FROM files WHERE code != '' ORDER BY position"
        )
        for name, *rest in found:
            yield dict(zip(("source", "sha256", "status", "code", "reason"), [os.fsdecode(name), *rest], strict=True))

    def _rows_of(self, name: bytes) -> Iterator[dict[str, Any]]:
        for (row,) in self._db.execute("SELECT row FROM images WHERE name = ? ORDER BY frame", (name,)):
            yield json.loads(row)


def position(name: str) -> bytes:
    """Return bytes that sort as names do naturally: numbers by their value, and what differs in case alone as text."""
    natural = re.sub(r"\d+", lambda found: _number(found[0]), name.lower())
    return os.fsencode(f"{natural}\0{name}".replace("/", "\x01"))


def _number(digits: str) -> str:
    value = digits.lstrip("0")
    return f"0{len(value):04d}{value}"
