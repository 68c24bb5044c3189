"""The results as Markdown tables that can be pasted into a page."""

from __future__ import annotations

from collections.abc import Sequence

from medkit_comparison.cells import Results, Table, notes, overview, per_class


def markdown(results: Results) -> str:
    """Return the title, both tables and the notes."""
    title = [f"### {_escaped(results['title'])}"] if results["title"] else []
    return "\n\n".join([*title, _table(overview(results)), _table(per_class(results)), " ".join(notes(results))]) + "\n"


def _table(table: Table) -> str:
    header, *lines = table
    return "\n".join(map(_line, [header, ["---"] * len(header), *lines]))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
