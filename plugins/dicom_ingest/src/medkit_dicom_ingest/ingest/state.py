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
from medkit_dicom_ingest.ingest.one_file import Outcome

PAGE = 256
_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
  name BLOB PRIMARY KEY, position BLOB, seen INTEGER,
  status TEXT DEFAULT '', sha256 TEXT DEFAULT '', code TEXT DEFAULT '', reason TEXT DEFAULT '', rows TEXT DEFAULT '[]'
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_position ON files (position);
CREATE INDEX IF NOT EXISTS by_content ON files (sha256);
"""


class State:
    """A table of files in SQLite, in natural order of their names (``2.dcm`` before ``10.dcm``).

    Only its owner can read it: names of folders may hold identifiers. One process at a time writes it.

    Args:
        path: of the database; made where there is none.

    Raises:
        ConfigError: another run is writing it, or it is damaged.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise ConfigError("another medkit ingest is writing to this OUTPUT: wait for it to end") from error
        except sqlite3.DatabaseError as error:
            raise ConfigError(f"{path} is damaged ({error}): --no-resume starts over") from error

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

    def count(self, where: str = "1", *values: Any) -> int:
        """Return how many files meet a condition."""
        number: int = self._db.execute(f"SELECT count(*) FROM files WHERE {where}", values).fetchone()[0]
        return number

    def images(self, folder: str = "") -> int:
        """Return how many images there are, in all or in ``folder`` of OUTPUT."""
        number: int = self._db.execute(
            "SELECT count(*) FROM files, json_each(files.rows) WHERE json_extract(value, '$.output') LIKE ? || '%'",
            (folder,),
        ).fetchone()[0]
        return number

    def causes(self) -> list[tuple[str, str, int]]:
        """Return (status, code, how many) of what gave no image, the most frequent first."""
        return self._db.execute(
            "SELECT status, code, count(*) FROM files WHERE code != '' GROUP BY 1, 2 ORDER BY 3 DESC, 2"
        ).fetchall()

    def seen_in(self, run: int) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """Yield (name, SHA-256 or ``""``, rows) of each file of a run, in order; the table may change meanwhile."""
        last = b""
        while True:
            page = self._db.execute(
                "SELECT position, name, status, sha256, rows FROM files WHERE position > ? AND seen = ? "
                "ORDER BY position LIMIT ?",
                (last, run, PAGE),
            ).fetchall()
            if not page:
                return
            last = page[-1][0]
            for _, name, status, sha256, rows in page:
                yield os.fsdecode(name), sha256 if status == "done" else "", json.loads(rows)

    def settle(self, name: str, outcome: Outcome) -> list[str]:
        """Note what became of a file, and return the outputs that no row stands for any more.

        A file whose content could not be read this time keeps what was made of it before.
        """
        key = os.fsencode(name)
        before = self._outputs(key)
        if before and not outcome.sha256:
            self._db.execute(
                "UPDATE files SET status = ?, code = ?, reason = ? WHERE name = ?",
                (outcome.status, outcome.code, outcome.reason, key),
            )
            return []
        self._db.execute(
            "UPDATE files SET status = ?, sha256 = ?, code = ?, reason = ?, rows = ? WHERE name = ?",
            (outcome.status, outcome.sha256, outcome.code, outcome.reason, json.dumps(outcome.rows), key),
        )
        gone = before - {row["output"] for row in outcome.rows}
        return [output for output in sorted(gone) if not self.stands(output)]

    def stands(self, output: str) -> bool:
        """Return whether a file of some row is ``output`` (a path below OUTPUT)."""
        sha256 = Path(output).name[:64]
        same = self._db.execute("SELECT name FROM files WHERE sha256 = ?", (sha256,)).fetchall()
        return any(output in self._outputs(name) for (name,) in same)

    def _outputs(self, name: bytes) -> set[str]:
        (rows,) = self._db.execute("SELECT rows FROM files WHERE name = ?", (name,)).fetchone()
        return {row["output"] for row in json.loads(rows)}

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the manifest's rows in order."""
        for (rows,) in self._db.execute("SELECT rows FROM files ORDER BY position"):
            yield from json.loads(rows)

    def failures(self) -> Iterator[dict[str, str]]:
        """Yield the rows of failures.csv in order."""
        found = self._db.execute(
            "SELECT name, sha256, status, code, reason FROM files WHERE code != '' ORDER BY position"
        )
        for name, *rest in found:
            yield dict(zip(("source", "sha256", "status", "code", "reason"), [os.fsdecode(name), *rest], strict=True))


def position(name: str) -> bytes:
    """Return bytes that sort as names do naturally: numbers by their value, and what differs in case alone as text."""
    natural = re.sub(r"\d+", lambda found: _number(found[0]), name.lower())
    return os.fsencode(f"{natural}\0{name}".replace("/", "\x01"))


def _number(digits: str) -> str:
    value = digits.lstrip("0")
    return f"0{len(value):04d}{value}"
