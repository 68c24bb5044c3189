"""The results as text in the width of a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from medkit_comparison.cells import Results, Table, notes, overview, per_class

_GAP = "  "


def lines(results: Results, width: int) -> Iterator[str]:
    """Yield the title, both tables and the notes; a table that is too wide goes on below with the next columns."""
    if results["title"]:
        yield from (results["title"], "")
    for table in (overview(results), per_class(results)):
        yield from _table(table, width)
    yield from notes(results)


def _table(table: Table, width: int) -> Iterator[str]:
    columns = [[cell.ljust(max(map(len, column))) for cell in column] for column in zip(*table)]
    first, rest = columns[0], columns[1:]
    while rest:
        block, used = [first], len(first[0])
        while rest and (len(block) == 1 or used + len(_GAP) + len(rest[0][0]) <= width):
            block.append(rest.pop(0))
            used += len(_GAP) + len(block[-1][0])
        yield from (_GAP.join(cells).rstrip() for cells in zip(*block))
        yield ""
