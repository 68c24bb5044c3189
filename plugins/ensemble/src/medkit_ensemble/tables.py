"""CSV tables of several models: found, read, and checked against each other."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from medkit.errors import ConfigError, DataError

Row = dict[str, str]
Table = dict[str, Row]
"""End of a file's path, or id of an image → row."""


def find_tables(handler: str, files: str | Sequence[str]) -> list[Path]:
    """Return what paths and glob patterns lead to, each file once, in order.

    Raises:
        ConfigError: one leads to nothing, or there are none.
    """
    found: dict[Path, Path] = {}
    for pattern in [files] if isinstance(files, str) else files:
        # a path may look like a pattern: "run [1]"; and Path.glob takes no absolute pattern
        matches = [pattern] if Path(pattern).is_file() else sorted(glob.glob(pattern))  # noqa: PTH207
        if not matches:
            raise ConfigError(f"{handler}: {pattern} is not there: run the stages that make it")
        for path in map(Path, matches):
            found.setdefault(path.resolve(), path)
    if not found:
        raise ConfigError(f"{handler}: files is empty: name the tables")
    return list(found.values())


def keyed(path: Path, rows: Iterable[Row], key: Callable[[Row], str]) -> Table:
    """Return rows by what ``key`` says; raise `DataError` where it says one thing twice."""
    rows = list(rows)
    table = {key(row): row for row in rows}
    if len(table) < len(rows):
        (twice, _), *_ = Counter(map(key, rows)).most_common(1)
        raise DataError(f"{path} holds {twice} twice: keep one of them")
    return table


def require_same_files(tables: Mapping[Path, Table]) -> None:
    """Raise `DataError` where a table holds other files than the first."""
    one, first = next(iter(tables.items()))
    for other, second in tables.items():
        for path, has, lacks, table in ((one, first, second, other), (other, second, first, one)):
            if missing := [name for name in has if name not in lacks]:
                raise DataError(
                    f"{table} lacks {some(missing)}, which {path} has: predict the same files with every model"
                )


def some(names: Sequence[str]) -> str:
    """Return the first three names and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
